"""The one exception for input that cannot be used."""


class XtinctError(Exception):
    """Input, configuration or data that cannot be used.

    The message is one line that names the file, the key or the value and says what
    would be right. Command line and workflow print it without a traceback and exit
    with status 2; anything else that escapes is a bug.
    """
