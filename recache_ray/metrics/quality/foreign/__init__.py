"""Scripts for other interpreters: each stands alone, needs nothing of this package, and runs on Python 3.9."""
