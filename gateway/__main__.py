"""python -m gateway: the same as the `mneme` command."""

import sys

from gateway.cli import main

sys.exit(main())
