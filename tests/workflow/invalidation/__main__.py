"""Print the page: `python -m tests.workflow.invalidation > docs/reference/invalidation.md`."""

from tests.workflow.invalidation.page import page

print(page(), end="")
