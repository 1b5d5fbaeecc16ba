"""`mneme eval hygiene`: is what is remembered clean?"""
