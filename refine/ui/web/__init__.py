"""The review page: decide by looking. One front end with two homes, a notebook and a browser.

The front end asks, a :class:`refine.ui.web.session.Session` answers; decisions are those of :class:`refine.Review` and
nothing else. Its sources are in ``frontend/``; ``static/`` holds what they are built into.
"""
