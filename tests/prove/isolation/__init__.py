"""Whether anybody is ever told what somebody else said: tenants and users with odd names do everything at once, and all
bytes that come back are searched for words that are not theirs."""
