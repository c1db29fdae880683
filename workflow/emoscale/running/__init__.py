"""Before, during and after a run: what will run and why, how far it is, and what nobody needs."""
