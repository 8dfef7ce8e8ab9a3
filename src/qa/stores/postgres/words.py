"""The lexical channel in PostgreSQL: BM25 over the words that the local store would index.

Where the extension pg_textsearch is installed, it finds candidates and they are scored here;
elsewhere the table `postings` keeps what each word adds to the score of each passage. Either way
the scores are those of the local store, BM25 with k1 = 1.2 and b = 0.75 for text and for title with
headings (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).

A field has a row for each of its words in `postings`, with the number of passages that have the
word, and one for the empty word, with the number of all its words.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier, Literal

from qa.stores.lexical import CONTEXT_WEIGHT
from qa.stores.postgres.tables import SCHEMA, Tables

#: Candidates in each field, for each passage asked for.
_EACH = 4
#: Passages that are scored one and all sooner than pg_textsearch is asked which of them to score.
FEW = 5000
FIELDS = ("text", "context")

_ALL_WORDS = """
INSERT INTO {postings} (field, word, passages, rows, weights)
SELECT {field}, '', coalesce(sum(cardinality(string_to_array({words}, ' '))), 0), '{{}}', '{{}}'
FROM {passages}
"""
_OCCURRENCES = """
    SELECT p.row, p.{length} AS length, found.word, found.times
    FROM {passages} p, LATERAL (
        SELECT word, count(*) AS times FROM unnest(string_to_array(p.{words}, ' ')) AS word
        GROUP BY word
    ) AS found
"""
_COUNT = f"""
INSERT INTO {{postings}} (field, word, passages, rows, weights)
SELECT {{field}}, word, count(*), '{{{{}}}}', '{{{{}}}}' FROM ({_OCCURRENCES}) AS o GROUP BY word
"""
_WEIGHT = "2.2 * times / (times + 1.2 * (0.25 + 0.75 * length / mean))"
_WEIGH = f"""
INSERT INTO {{postings}} (field, word, passages, rows, weights)
SELECT {{field}}, word, count(*), array_agg(row ORDER BY row), array_agg(weight ORDER BY row)
FROM (
    SELECT row, word, ({_WEIGHT})::real AS weight FROM ({_OCCURRENCES}) AS o, (
        SELECT passages::float8 / (SELECT count(*) FROM {{passages}}) AS mean
        FROM {{postings}} WHERE field = {{field}} AND word = ''
    ) AS m
) AS weighed
GROUP BY word
"""
#: Inverse document frequency, with the share of the field in the score.
_RARITY = """
    ln(1 + (%(count)s - d.passages + 0.5) / (d.passages + 0.5))
    * CASE d.field WHEN 'text' THEN 1.0 ELSE {context_weight} END
"""
_SUM = f"""
SELECT found.row, sum(found.weight * {_RARITY})::float8 AS score
FROM {{postings}} d, unnest(d.rows, d.weights) AS found(row, weight)
WHERE d.word = ANY(%(words)s){{within}}
GROUP BY found.row ORDER BY score DESC, found.row LIMIT %(limit)s
"""
_SUM_WITHIN = " AND found.row IN (SELECT row FROM {passages} WHERE {condition})"
_SCORE = f"""
WITH candidates AS ({{branches}}), means AS (
    SELECT field, passages::float8 / %(count)s AS mean FROM {{postings}} WHERE word = ''
)
SELECT p.row, sum({_WEIGHT} * {_RARITY})::float8 AS score
FROM candidates c JOIN {{passages}} p ON p.row = c.row,
LATERAL (VALUES ('text', p.text_words, p.text_length), ('context', p.context_words,
    p.context_length)) AS f(field, words, length),
LATERAL (
    SELECT word, count(*) AS times FROM unnest(string_to_array(f.words, ' ')) AS word
    WHERE word = ANY(%(words)s) GROUP BY word
) AS found
JOIN {{postings}} d USING (word), means m
WHERE d.field = f.field AND m.field = f.field
GROUP BY p.row ORDER BY score DESC, p.row LIMIT %(limit)s
"""
_FEW = "SELECT row FROM {passages} WHERE {condition}"
_BRANCH = """(
    SELECT row FROM {passages} WHERE {condition}
    ORDER BY {words} <@> to_bm25query(%(query)s, {index}) LIMIT %(each)s
)"""


def statements(tables: Tables, extension: bool) -> list[Composed]:
    """Return what indexes the words of the passages once they are there.

    :param extension: whether pg_textsearch searches.
    """
    made = [_of_field(tables, _ALL_WORDS, field) for field in FIELDS]
    if not extension:
        return [*made, *(_of_field(tables, _WEIGH, field) for field in FIELDS)]
    made += [_of_field(tables, _COUNT, field) for field in FIELDS]
    create = "CREATE INDEX {name} ON {passages} USING bm25 ({words}) WITH (text_config = 'simple')"
    return [
        *made,
        *(
            tables(create, name=Identifier(index_name(tables, field)), words=_words(field))
            for field in FIELDS
        ),
    ]


def _of_field(tables: Tables, statement: str, field: str) -> Composed:
    length = Identifier(f"{field}_length")
    return tables(statement, field=Literal(field), words=_words(field), length=length)


def _words(field: str) -> Identifier:
    return Identifier(f"{field}_words")


def index_name(tables: Tables, field: str) -> str:
    """Return the name of the index of pg_textsearch over a field, where there is one."""
    return f"{tables.names['passages']}_{field}"


def search(
    tables: Tables, extension: bool, condition: Composed | None, few: bool = False
) -> Composed:
    """Return the query for the rows with the highest BM25; see `values`.

    :param condition: which rows may be found; None for all.
    :param few: whether these are at most `FEW`.
    """
    weight = SQL(str(CONTEXT_WEIGHT))
    if not extension:
        within = tables(_SUM_WITHIN, condition=condition) if condition else SQL("")
        return tables(_SUM, within=within, context_weight=weight)
    if few:
        every = tables(_FEW, condition=condition or SQL("true"))
        return tables(_SCORE, branches=every, context_weight=weight)
    branches = [
        tables(
            _BRANCH,
            condition=condition or SQL("true"),
            words=_words(field),
            index=Literal(f"{SCHEMA}.{index_name(tables, field)}"),
        )
        for field in FIELDS
    ]
    return tables(_SCORE, branches=SQL(" UNION ").join(branches), context_weight=weight)


def values(words: Sequence[str], count: int, limit: int) -> dict[str, object]:
    """Return the values of a search.

    :param count: of the passages.
    """
    return {
        "words": list(words),
        "query": " ".join(words),
        "count": count,
        "limit": limit,
        "each": limit * _EACH,
    }
