"""python -m tests.workflow.invalidation > docs/invalidation.md"""

from tests.workflow.invalidation.page import page

print(page(), end="")
