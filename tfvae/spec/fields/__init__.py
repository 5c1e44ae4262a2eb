"""Every field that a spec has: its default, what it may be, and what it does; a module for each section."""
