"""Textual themes made from theme files."""

from collections.abc import Mapping

from textual.theme import Theme

from mlops_tui.config.themes import COLORS, MARKS, ThemeFile

FALLBACK: Mapping[str, str] = {
    **dict.fromkeys(COLORS, "ansi_white"),
    **{f"mark-{mark}": "ansi_white" for mark in MARKS},
    **dict.fromkeys(("background", "surface", "panel"), "ansi_black"),
    **dict.fromkeys(("cursor", "cursor-idle", "environment"), "ansi_blue"),
    "production": "ansi_red",
    "read-only": "ansi_yellow",
    "read-only-text": "ansi_black",
    "mark-bad": "ansi_bright_red",
    "mark-warn": "ansi_bright_yellow",
    "mark-ok": "ansi_green",
}
"""The variables of the style sheets by names that every terminal has, for when no theme file can be read."""


def textual_theme(theme: ThemeFile) -> Theme:
    """Return a theme as Textual takes it."""
    colors, marks = theme.colors, theme.marks
    return Theme(
        name=theme.name,
        dark=theme.dark,
        primary=colors["accent"],
        secondary=colors["muted"],
        accent=colors["accent"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        success=marks["ok"],
        warning=marks["warn"],
        error=marks["bad"],
        variables={
            **colors,
            **{f"mark-{mark}": color for mark, color in marks.items()},
            "scrollbar": colors["frame"],
            "scrollbar-hover": colors["faint"],
            "scrollbar-active": colors["accent"],
            "scrollbar-background": colors["background"],
            "scrollbar-background-hover": colors["background"],
            "scrollbar-background-active": colors["background"],
            "scrollbar-corner-color": colors["background"],
            "block-cursor-background": colors["cursor"],
            "block-cursor-foreground": colors["foreground"],
            "block-cursor-text-style": "bold",
        },
    )
