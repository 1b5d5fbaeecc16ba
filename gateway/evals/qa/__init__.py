"""`mneme eval qa`: are questions answered rightly from memory?"""
