"""Reads image files: what they declare, and their pixels, inside a graph.

Training, evaluation, the command line and the served model all decode here,
so that one file gives the same pixels everywhere; `images` has the rules.
"""
