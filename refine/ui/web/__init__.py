"""The review page: decide by looking. One front end with two homes, a notebook and a browser.

The front end asks, a :class:`refine.ui.web.session.Session` answers, and :class:`refine.Review` decides. The
sources of the front end are in ``frontend/``, the built files in ``static/``.
"""
