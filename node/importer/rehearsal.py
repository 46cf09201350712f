"""A rehearsal: what is checked of rows here, by the node's own rules, as the node will not be told them for good."""

from collections.abc import Mapping

from registry import industries
from registry.rules import unfit
from registry.suffix import SuffixRule
from registry.template import Item


def suffix_rule(template: str) -> SuffixRule:
    """The rule of an industry's template; what a template of one's own wants only the node knows."""
    rules = {each.version: each.suffix for industry in industries.load() for each in industry.templates}
    return rules.get(template, SuffixRule())


class Rehearsal:
    """Says in Chinese why a row would be refused, empty where it would not: by the attributes of a `template`, and by
    the `rule` for its suffixes."""

    def __init__(self, attributes: tuple[Item, ...], template: str, rule: SuffixRule) -> None:
        self._attributes = attributes
        self._template = template
        self._rule = rule

    def unfit(self, said: Mapping[Item, str]) -> str:
        """Why a row that says so would be."""
        for attribute in self._attributes:
            text = said.get(attribute, "")
            if attribute.required and not text:
                return f"缺少必填属性{attribute.zh}（{attribute.name}）"
            if text and (refused := unfit(text, attribute)):
                return refused.zh
        return ""

    def misshapen(self, handle: str) -> str:
        """Why an identifier spelt `handle` would be."""
        suffix = handle.partition("/")[2]
        if self._rule.admits(suffix):
            return ""
        return f"后缀{suffix}不符合模板{self._template}的编码规则{self._rule.shape[0]}"
