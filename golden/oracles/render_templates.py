"""Renders every template with every conversation as the `transformers` library does.

    render_templates.py FOLDER < conversations.json

Prints {template: {conversation: text}}; where the library raises, the text is `[error] ` and its
message. Knows nothing of tokens.
"""

import datetime
import json
import sys
from pathlib import Path

from transformers.utils import chat_template_utils

import pinned


class FixedDate(datetime.datetime):
    """Templates may print today's date; a recording has to give the same answer tomorrow."""

    fixed = None

    @classmethod
    def now(cls, tz=None):
        return cls.fixed


def render(template, conversation, words, tools):
    names = conversation.get("tools")
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            conversations=[conversation["messages"]],
            tools=None if names is None else [tools[name] for name in names],
            chat_template=template,
            add_generation_prompt=conversation.get("generate", False),
            **words, **conversation.get("extra", {}))
        return rendered[0]
    except Exception as error:
        return f"[error] {error}"


def main():
    pinned.check()
    asked = json.load(sys.stdin)
    FixedDate.fixed = FixedDate.fromisoformat(asked["date"])
    chat_template_utils.datetime = FixedDate
    answers = {}
    for name, words in asked["templates"].items():
        template = Path(sys.argv[1], f"{name}.jinja").read_text(encoding="utf-8")
        answers[name] = {key: render(template, conversation, words, asked["tools"])
                         for key, conversation in asked["conversations"].items()}
    json.dump({"oracle": pinned.words("transformers", "jinja2"), "answers": answers}, sys.stdout)


main()
