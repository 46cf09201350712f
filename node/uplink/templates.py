"""Templates on their way up: told as they are now, before the changes that name them.

What a template says is registry's; here it becomes a message.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from node.uplink.tenure import Tenure
from proto import uplink_pb2 as pb
from proto.signed import sentence
from registry.drafting import said
from registry.template import Item, Template

TEMPLATES_MOST: Final = 200
"""Templates of one request (uplink.proto)."""
OCTETS_MOST: Final = 4 * 1024 * 1024
"""Octets after which a request takes no more: with the largest template after that it is far below what may travel
(signed.MESSAGE_OCTETS)."""

log = structlog.get_logger("uplink")


class Templates:
    """Tells them."""

    def __init__(self, tenure: Tenure) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node

    async def tell(self) -> None:
        """Tells all that the top-level node does not know as they are. Raises AwayError."""
        while waiting := await self._clerk.templates_to_tell(TEMPLATES_MOST):
            lines = await self._clerk.template_versions([each.line for each in waiting])
            request = _request(waiting, lines)
            sent = waiting[: len(request.templates)]
            reply = await self._node.ask("PushTemplates", request, pb.PushTemplatesResponse)
            if not reply.ok:
                log.error("templates_refused", code=reply.code, why=reply.en)
                return  # changes go on: what they name is told when somebody has looked
            for refused in reply.message.refused:
                log.warning("template_refused", place=refused.place, why=sentence(refused.en))
            # The refused ones, too: said again they would only be refused again.
            await self._clerk.templates_told(sent)


def _request(templates: Sequence[Template], lines: dict[int, str]) -> pb.PushTemplatesRequest:
    request = pb.PushTemplatesRequest()
    for each in templates:
        request.templates.append(message(each, lines.get(each.line, "")))
        if request.ByteSize() > OCTETS_MOST:
            break
    return request


_STATED: Final = frozenset(field.name for field in pb.TemplateItem.DESCRIPTOR.fields)


def message(template: Template, line: str) -> pb.Template:
    """What is told of a template, whose line began with the version `line`."""
    category = template.category
    return pb.Template(
        prefix=template.prefix,
        version=template.version,
        epoch=template.epoch,
        state=int(template.state),  # type: ignore[arg-type]
        revision=template.revision,
        line=line,
        origin=template.origin,
        name_zh=template.zh,
        name_en=template.en,
        description=template.description,
        category=[category.category, category.specific, category.trade, category.subclass],
        carrier=template.carrier,
        items=map(_item, template.items),
    )


def _item(item: Item) -> pb.TemplateItem:
    rest = {name: value for name, value in said(item).items() if name not in _STATED}
    return pb.TemplateItem(
        index=item.index,
        name=item.name,
        zh=item.zh,
        en=item.en,
        kind=item.kind,
        required=item.required,
        enabled=item.enabled,
        access=item.access,
        rules=msgspec.json.encode(rest).decode() if rest else "",
    )
