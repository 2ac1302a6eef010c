"""`python -m neurogen` is the command `neurogen`, for interpreters whose scripts folder is not on the path."""

import sys

from neurogen.cli import main

sys.exit(main())
