"""Writes features.json: run it only when the rules change on purpose, and review the difference.

The tables hold the n-grams of a few sentences, so that most cases find ids.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from edged.features import Extractor, mix, ngram_keys, pack_table
from edged.tokens import Tokenizer

RULES = {
    "version": 1,
    "max_tokens": 300,
    "negation_span": 3,
    "words_head": 8,
    "words_tail": 24,
    "unknown_percent": 20,
}

KNOWN = [
    "This is a very good wine , with bright cherry and a long finish .",
    "I do not like it at all ! It was not good , it 's awful ... and I can not say why .",
    "Don't buy this: the food wasn't hot, they've lost my order and it'll never change.",
    "The caf\u00e9 was great ( really great ) ; 10/10 , again :) :( :d <3 \U0001f600 \u2764 \U0001f44d",
    "@user see http://x.y 8/10 1.5 100 2nd 80s 0 ? ?? !! .. \" [ ] -- t n i 'm we 're he 'd",
    "no never nothing nobody none neither nor without hardly barely good bad soo happy",
    "\u0634\u0643\u0631\u0627 \u05ea\u05d5\u05d3\u05d4",
    "\u7f8e\u5473\u3057\u3044 \u0441\u043f\u0430\u0441\u0438\u0431\u043e",
]

CASES: list[tuple[str, bytes | str]] = [
    ("empty", b""),
    ("space only", " \t\r\n "),
    ("ascii", "This is a very good wine, with bright cherry and a long finish."),
    ("upper case", "THIS IS A VERY GOOD WINE"),
    ("no table knows it", "zxqv wvut qqqq"),
    ("mostly unknown words", "good zxqv wvut qqqq zzzx yyyq wwwv"),
    ("repeated n-grams count once", "good good good good very good very good"),
    ("contraction raw", "I don't like it"),
    ("contraction of the Treebank", "I do n't like it"),
    ("contraction without apostrophe", "I dont like it"),
    ("contraction written out", "I do not like it"),
    ("can't, cannot, cant, ca n't, can not", "can't cannot cant ca n't can not"),
    ("won't and shan't", "won't wont shan't n't nt't 't t't 5't it't itt'tt"),
    ("a negation before n't", "non't good"),
    ("clitics", "it's we're they've it'll he'd I'm o'clock 's 'sx 'll' rock 'n' roll"),
    ("clitic before an emoji", "it's\U0001f600 it'd\u2764"),
    ("curly apostrophe", "I don\u2019t like it, it\u2018s awful"),
    (
        "entity apostrophe",
        "I don&#39;t &amp; can&apos;t &QUOT;good&quot; &lt;br&gt; &nbsp;&unknown; &amp;#39;",
    ),
    ("negation reaches three words", "not good good bad good bad"),
    ("negation stops at punctuation", "not good, good"),
    ("negation after negation", "never not no good bad good bad"),
    ("n-grams stop at punctuation", "very good. wine, with bright (cherry) and - a long"),
    ("dashes", "well-made--good \u2013 good \u2014 bad ---- bad - bad"),
    ("quotes", "``good'' \u201cgood\u201d \u00abgood\u00bb 'good' `good` \"\"good\" '''"),
    ("ellipses and runs", "good... good\u2026 good!! good?! good.,;: ??? ((good)) [[x]] ;;;"),
    ("squeezed letters", "sooooo gooood goood haaaappy aaabbbccc 1111 \u00e9\u00e9\u00e9\u00e9"),
    ("numbers", "10/10 8/10 1.5 1,000 10,000 1/2/2003 1999 100 99 0 5. 5.x 5..5 1.5kg 2nd 80s 12345't 1./2"),
    ("emoticons", ":) :-) :( :-( ;) =) :d :D :p :-P :dx :'( =[ :/ http:// :\\ :| :* : - ) :- :'"),
    ("heart", "i <3 it <33 < 3 </3"),
    ("emoji", "good\U0001f600bad \u2764\ufe0f \u2764 \U0001f44d\U0001f3fd \U0001f44d \U0001f600\U0001f600"),
    ("emoji joined by zero width", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    (
        "tags",
        "good<br />bad <b>very good</b> <!-- x --> a<b and c>d < b> <a"
        + "x" * 199
        + "> <a"
        + "y" * 201
        + ">",
    ),
    (
        "users and addresses",
        "@user thanks @ me a@b.com see HTTPS://X.Y/z?q=1 www.x.y<b>http httpx xhttp://y www",
    ),
    ("separators", "good#bad good_bad good*bad good/bad good+bad good=bad good~bad good|bad good\\bad 5% $5"),
    ("accents composed", "Caf\u00e9 CAF\u00c9 na\u00efve \u00c5\u00c6\u00d8\u00df\u00fe\u00d7\u00f7"),
    ("accents combining", "Cafe\u0301 good\u0300\u0301\u036f\u0370 e\u0301\u0301"),
    ("zalgo", "g\u0336o\u0335\u0321o\u0334d\u0337"),
    ("zero width inside a word", "go\u200bo\u200cd go\u00adod \ufeffgood g\u2060ood"),
    ("bidirectional overrides", "\u202egood\u202c \u2066bad\u2069 \u200fgood\u200e"),
    ("wide spaces", "very\u00a0good\u2003wine\u3000with\u2028bright\u0085cherry"),
    ("right to left", "\u0634\u0643\u0631\u0627 good \u05ea\u05d5\u05d3\u05d4"),
    ("no spaces between words", "\u7f8e\u5473\u3057\u3044\u3067\u3059 \u7f8e\u5473\u3057\u3044"),
    (
        "cyrillic upper case stays",
        "\u0441\u043f\u0430\u0441\u0438\u0431\u043e \u0421\u041f\u0410\u0421\u0418\u0411\u041e",
    ),
    ("full width letters stay", "\uff47\uff4f\uff4f\uff44 \uff01"),
    ("NUL and control characters", b"good\x00wine\x01very\x1fgood\x7fbad"),
    ("lone continuation bytes", b"good \x80\x81 \xbf good\x80bad"),
    ("cut sequences", b"good\xe2\x80 \xe2 \xf0\x9f\x98 \xf0\x9f \xc2 \xc3 \xcc \xef\xb8 \xe3\x80"),
    ("cut at the end: two bytes", b"good\xc3"),
    ("cut at the end: three bytes", b"good\xe2\x80"),
    ("cut at the end: four bytes", b"good\xf0\x9f\x98"),
    ("cut at the end: skin tone", b"good\xf0\x9f\x8f"),
    ("overlong and out of range", b"\xc0\xaf \xe0\x80\xaf \xf8\x88\x80\x80\x80 \xff\xfe \xed\xa0\x80"),
    ("lead bytes in a row", b"\xc2\xc3\xa9 \xe2\xe2\x80\x99 \xf0\xf0\x9f\x98\x80 \xe2\x98\xe2\x98\xba"),
    ("emoji made by a removal", b"\xe2\xe2\x80\x8b\x9d\xa4 \xf0\x9f\xe2\x80\x8b\x98\x80"),
    ("accent table's hole", "good\u00d7good\u00f7good"),
    ("latin-1 symbols", "\u00a35 \u00a9good\u00ae \u00b0 5\u00b4 \u00bd"),
    ("windows of a long review", "very good wine with bright cherry and a long finish " * 5),
    ("exactly as many tokens as allowed", "good " * 300),
    ("one token too many", "good " * 301),
    ("a contraction over the limit", "good " * 299 + "don't like"),
    ("very long", "This is a very good wine, with bright cherry. " * 400),
    ("one very long word", "g" + "o" * 5000 + "d" + "x" * 5000),
    ("many quotes", "'" * 500 + "good" + "`" * 501),
    ("unclosed tags", "<a" * 200 + " good"),
]


def build() -> dict[str, Any]:
    """The vectors as written to the file."""
    tokens = Tokenizer(RULES["max_tokens"])(KNOWN)
    ngrams, _ = pack_table(np.unique(ngram_keys(tokens, RULES["negation_span"]).keys), 6)
    words, _ = pack_table(np.unique(mix(tokens.hashes)), 4)
    extractor = Extractor(RULES, ngrams, words)
    cases = []
    for name, text in CASES:
        data = text.encode() if isinstance(text, str) else text
        rows = extractor([data])
        cases.append(
            {
                "name": name,
                "text": base64.b64encode(data).decode(),
                "wide": rows.wide.tolist(),
                "words": rows.words.tolist(),
                "flags": int(rows.flags[0]),
            }
        )
    return {
        "about": "Text to ids: byte blocks are base64. Row i of the result must equal wide, words and flags.",
        "rules": RULES,
        "ngrams": base64.b64encode(ngrams).decode(),
        "words": base64.b64encode(words).decode(),
        "cases": cases,
    }


if __name__ == "__main__":
    lines = json.dumps(build(), indent=1).replace("\n    ", " ").replace("\n   ", "\n  ")
    Path(__file__).with_name("features.json").write_text(lines + "\n", encoding="ascii")
