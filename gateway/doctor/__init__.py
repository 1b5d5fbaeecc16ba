"""What is wrong with an installation and how to mend it, found by looking: nothing is changed, and gateways may run."""
