"""What any step needs: errors, atomic files, progress, devices, memory, provenance."""
