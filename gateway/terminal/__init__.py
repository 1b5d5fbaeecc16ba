"""What people on a terminal see of a running gateway: `mneme top` and `mneme memories`, over /admin."""
