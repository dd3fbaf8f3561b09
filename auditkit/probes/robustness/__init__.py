"""Does a list depend on text that it should not depend on?"""
