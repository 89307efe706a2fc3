"""Opening a page without losing the terminal to it."""

import webbrowser


def open_in_browser(url: str) -> bool:
    """Open `url` in a graphical browser; return `False` where there is none. May block: call it in a thread.

    A browser that runs in the terminal, such as lynx, is no browser here: it would draw over the dashboard.
    """
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if isinstance(browser, webbrowser.GenericBrowser) and not isinstance(browser, webbrowser.BackgroundBrowser):
        return False
    return browser.open(url)
