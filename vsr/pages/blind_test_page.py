"""A `BlindTest` as a page: pairs of images on random sides, ratings from 1 to 5, saved as JSON.

The module also formats the summary of the ratings.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

from pipelines.quality.ratings import FORMAT
from vsr.pages.html import clip, document, picture

if TYPE_CHECKING:
    from pipelines.quality.blind_test import BlindTest
    from pipelines.quality.ratings import Opinions

__all__ = ["blind_page", "opinions_table", "opinions_text"]


def blind_page(test: BlindTest) -> str:
    """The HTML page of a blind test.

    Order and sides are chosen at random here and again whenever the page is opened. Which side shows which
    image is stored as the parity of the bits of a random byte per trial, so that it can't be read at a
    glance.
    """
    random = secrets.SystemRandom()
    trials = list(test.trials)
    random.shuffle(trials)
    key = bytearray()
    parts = []
    for trial in trials:
        byte = random.randrange(256)
        key.append(byte)
        shown = [clip("to be judged", data) for data in trial.clips] or [
            picture("to be judged", data) for data in trial.pictures
        ]
        sides = "".join(
            f'<div class="side">{element}</div>'
            for element in (shown[::-1] if byte.bit_count() & 1 else shown)
        )
        parts.append(
            f'<article class="trial" hidden data-seconds="{trial.seconds:.3f}"><div'
            f' class="sides">{sides}</div></article>'
        )
    data = {
        "format": FORMAT,
        "test": test.id,
        "names": list(test.names),
        "key": base64.b64encode(bytes(key)).decode(),
    }
    text = json.dumps(data).replace("<", "\\u003c")
    body = _BODY.format(count=len(trials), trials="\n".join(parts), data=text)
    return document("Which one looks better?", body, assets=("blind.css", "blind.js"))


def opinions_table(found: Opinions) -> dict[str, Any]:
    """Ratings as JSON values."""
    rounded = [
        {"file": o.name, "mos": round(o.mean, 4), "interval": o.interval and round(o.interval, 4)}
        for o in found.opinions
    ]
    return {
        "test": found.test,
        "raters": found.raters,
        "ratings": found.ratings,
        "opinions": rounded,
        "preferred": dict(zip(("first", "equal", "second"), found.preferred, strict=True)),
        "preference_rate": round(found.rate, 4),
        "preference_interval": [round(found.low, 4), round(found.high, 4)],
    }


def opinions_text(found: Opinions) -> str:
    """One line per output, and one on which was preferred."""
    first, second = found.opinions
    wide = max(len(o.name) for o in found.opinions)
    lines = [
        f"{found.raters} rater{'s' * (found.raters > 1)}, {found.ratings} pair{'s' * (found.ratings > 1)}"
    ]
    for o in found.opinions:
        lines.append(
            f"  {o.name:<{wide}}  {o.mean:.2f}{'' if o.interval is None else f' ± {o.interval:.2f}'} of 5"
        )
    above, equal, below = found.preferred
    lines.append(
        f"  {first.name} was rated above {second.name} {above} times, as high {equal} times, below {below}"
        " times:"
    )
    lines.append(
        f"  preferred {found.rate:.0%} of the time ({found.low:.0%} to {found.high:.0%}), ties counted half"
    )
    return "\n".join(lines)


_BODY = """<header><h1>Which one looks better?</h1>
<p class="soft">{count} pairs of pictures, each the same moment of two versions of a video. Rate both pictures of a pair.
Which side is which changes from pair to pair, and is said at the end.</p></header>
<noscript><p>This page needs scripts to take down what you say.</p></noscript>
<section id="test" hidden>
<p class="soft" id="place" aria-live="polite"></p>
{trials}
<nav><button id="back">Back</button> <button id="next" class="first">Next</button></nav>
</section>
<section id="result" hidden>
<h2>Thank you</h2>
<div class="wide"><table><thead><tr><th>version</th><th>mean opinion score</th><th>preferred</th></tr></thead><tbody></tbody></table></div>
<p class="soft">Of 5, with the 95 % confidence interval; preferred: how often it was rated higher, ties counted half.</p>
<p><label>Your name, if you like: <input type="text" id="rater" autocomplete="name" maxlength="80"></label></p>
<nav><button id="again">Back to the pictures</button> <button id="save" class="first">Save my ratings</button></nav>
<p class="soft">Send the saved file to whoever gave you this page; nothing was sent anywhere.</p>
</section>
<script type="application/json" id="data">{data}</script>"""  # noqa: E501 - HTML
