# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests, the demo and the bench share: starting burrow and reading
what it says. Python's standard library only."""
