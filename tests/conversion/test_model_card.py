"""Names of sources are text in a model card, whatever they hold."""

from tokenformer.conversion.model_card import _table


def test_names_are_neither_html_nor_links_nor_rows():
    name = "a|b\n| c | <script>x</script> [here](http://elsewhere) `d`\x1b[2J"
    (row,) = _table(("source",), [(name,)]).splitlines()[2:]
    assert row == "| a/b / c / &lt;script&gt;x&lt;/script&gt; [here]\\(http://elsewhere) 'd'\\x1b[2J |"
