"""Proves node/samples.py: every sample record suits its template, the chains hold, the codes check out.

The rules are said here once more, small: the judge of registrations has tests of its own.
"""

import re
from collections import Counter
from datetime import date

import pytest

from node.samples import ENTERPRISES, SECONDARY, SampleRecord, particulars_of, sample_records
from proto.identifier import Identifier, Prefix
from registry.industries import templates_for
from registry.template import Item, Template

TEMPLATES = {
    each.prefix: {template.version: template for template in templates_for(each.industry, each.prefix)}
    for each in ENTERPRISES
}
RECORDS = {each.prefix: sample_records(each.prefix) for each in ENTERPRISES}
ALL = [(prefix, record) for prefix, records in RECORDS.items() for record in records]
PREFIXES = pytest.mark.parametrize("prefix", RECORDS)
LEATHER, AUTOMOTIVE, COSMETICS, EQUIPMENT = RECORDS


def _of(prefix: str, template: str) -> list[SampleRecord]:
    return [record for record in RECORDS[prefix] if record.template == template]


def _every(name: str) -> list[str]:
    return [record.values[name] for _, record in ALL if name in record.values]


def _wrong(item: Item, text: str) -> list[str]:
    """What `item` has against `text`."""
    wrong = [] if item.least <= len(text) <= item.most else [f"{item.name}: length of {text!r}"]
    if text != text.strip():
        wrong.append(f"{item.name}: blanks around {text!r}")
    if item.low is not None and float(text) < item.low:
        wrong.append(f"{item.name}: {text} < {item.low}")
    if item.high is not None and float(text) > item.high:
        wrong.append(f"{item.name}: {text} > {item.high}")
    return wrong


def _check(template: Template, record: SampleRecord) -> list[str]:
    """What `template` has against `record`."""
    items = {item.name: item for item in template.items}
    wrong = [f"no {item.name}" for item in template.required if not record.values.get(item.name)]
    wrong += [f"{name} is not in the template" for name in record.values if name not in items]
    wrong += [each for name, text in record.values.items() if name in items for each in _wrong(items[name], text)]
    if not template.suffix.admits(Identifier.parse(record.identifier).suffix):
        wrong.append(f"suffix of {record.identifier}")
    return wrong


def test_what_is_filed_of_each_enterprise_is_its_own_and_whole():
    filed = [particulars_of(each.prefix) for each in ENTERPRISES]
    assert len({each.ent_crt_code for each in filed}) == len(filed)
    assert all(each.ent_crt_code[2:8] == each.ent_county_code for each in filed)
    with pytest.raises(ValueError, match="not in list"):
        particulars_of("88.999.9999")


def test_the_check_of_this_file_finds_what_is_wrong():
    template = TEMPLATES[LEATHER]["leather-handbag"]
    values = {"styleNo": "A", "articleType": "包", "weight": "-1", "hsCode": "42022100123", "smell": "new"}
    assert _check(template, SampleRecord(f"{LEATHER}/BAG-1", "leather-handbag", values)) == [
        "no colour",
        "smell is not in the template",
        "weight: -1 < 0.0",
        "hsCode: length of '42022100123'",
        f"suffix of {LEATHER}/BAG-1",
    ]


def test_the_enterprises_are_those_of_the_contract():
    assert [(each.prefix, each.industry, each.username) for each in ENTERPRISES] == [
        ("88.999.1001", "leather", "leather"),
        ("88.999.2001", "automotive", "automotive"),
        ("88.999.3001", "cosmetics", "cosmetics"),
        ("88.999.4001", "equipment", "equipment"),
    ]
    assert SECONDARY == "88.999"
    assert {Prefix(each.prefix).parent for each in ENTERPRISES} == {SECONDARY}
    assert all(each.name.endswith("有限公司") and each.name_en.endswith("Co., Ltd.") for each in ENTERPRISES)


@PREFIXES
def test_every_record_suits_its_template(prefix: str):
    wrong = {record.identifier: _check(TEMPLATES[prefix][record.template], record) for record in RECORDS[prefix]}
    assert {identifier: why for identifier, why in wrong.items() if why} == {}


@PREFIXES
def test_identifiers_are_of_the_prefix_and_unique(prefix: str):
    keys = [Identifier.parse(record.identifier) for record in RECORDS[prefix]]
    assert {key.prefix for key in keys} == {prefix}
    assert len(set(keys)) == len(keys)


@PREFIXES
def test_every_template_has_samples_and_every_sample_shows_something(prefix: str):
    assert {record.template for record in RECORDS[prefix]} == set(TEMPLATES[prefix])
    assert min(len(record.values) for record in RECORDS[prefix]) >= 15


@PREFIXES
def test_references_point_backwards_to_samples_of_the_right_template(prefix: str):
    seen: dict[str, str] = {}
    pointed = 0
    for record in RECORDS[prefix]:
        for item in TEMPLATES[prefix][record.template].items:
            if item.reference and item.name in record.values:
                aims = record.values[item.name].split(";")
                assert {seen.get(aim) for aim in aims} == {item.reference}, record.identifier
                pointed += len(aims)
        seen[record.identifier] = record.template
    assert pointed > 10


def test_every_attribute_is_shown_by_some_sample_but_those_of_other_kinds_of_product():
    for prefix, templates in TEMPLATES.items():
        for template in templates.values():
            used = {name for record in _of(prefix, template.version) for name in record.values}
            left = {item.name for item in template.items} - used
            assert left <= {"cylinders", "displacement", "highwayMpg", "cityMpg", "emissionStandard"} | {
                "containerNo",
                "brandCode",
                "responsiblePerson",
            }, template.version


def test_there_are_a_few_hundred_and_the_same_each_time():
    assert 300 <= len(ALL) <= 600
    assert {prefix: sample_records(prefix) for prefix in RECORDS} == RECORDS


def test_an_unknown_prefix_has_no_samples():
    with pytest.raises(KeyError):
        sample_records("88.999.9999")


def test_the_handbag_everybody_is_shown():
    (bag,) = (record for record in RECORDS[LEATHER] if record.identifier == "88.999.1001/BAG-2026-000017")
    assert bag.template == "leather-handbag"
    assert bag.values["productName"] == "云岫朝暮手提包（焦糖棕）"
    assert bag.values["standardNo"] == "QB/T 1333-2018"
    assert bag.values["leatherBatch"] == "88.999.1001/LB-20260118-01"


# --- The chains tell one story -----------------------------------------------------------------------------


def test_cartons_and_pallets_hold_as_many_as_they_say():
    held = Counter(record.values["parentHandle"] for record in RECORDS[LEATHER] if "parentHandle" in record.values)
    said = {r.identifier: int(r.values["quantity"]) for r in _of(LEATHER, "leather-carton")}
    said |= {r.identifier: int(r.values["cartonCount"]) for r in _of(LEATHER, "leather-pallet")}
    assert held == said


def test_a_bag_is_of_its_batch_and_its_carton():
    batches = {record.identifier: record.values for record in _of(LEATHER, "leather-batch")}
    cartons = {record.identifier: record.values for record in _of(LEATHER, "leather-carton")}
    for bag in _of(LEATHER, "leather-handbag"):
        batch, carton = batches[bag.values["leatherBatch"]], cartons[bag.values["parentHandle"]]
        assert (bag.values["colour"], bag.values["leatherType"]) == (batch["colour"], batch["leatherType"])
        assert (bag.values["colour"], bag.values["styleNo"]) == (carton["colour"], carton["styleNo"])
        assert batch["inboundDate"] < bag.values["productionDate"] < carton["packingDate"]


def test_a_pack_is_of_cells_of_one_kind_and_each_cell_in_one_pack():
    cells = {record.identifier: record.values for record in _of(AUTOMOTIVE, "auto-cell")}
    used: list[str] = []
    for pack in _of(AUTOMOTIVE, "auto-pack"):
        inside = pack.values["cells"].split(";")
        assert len(inside) == int(pack.values["cellCount"])
        assert {cells[each]["nominalCapacity"] for each in inside} == {pack.values["ratedCapacity"]}
        assert max(cells[each]["productionDate"] for each in inside) < pack.values["productionDate"]
        volts = sum(float(cells[each]["nominalVoltage"]) for each in inside)
        energy = volts * int(pack.values["ratedCapacity"]) / 1000
        assert float(pack.values["ratedEnergy"]) == pytest.approx(energy, abs=0.05)
        used += inside
    assert sorted(used) == sorted(cells)


def test_each_car_has_a_pack_of_its_own_older_than_itself():
    packs = {record.identifier: record.values["productionDate"] for record in _of(AUTOMOTIVE, "auto-pack")}
    cars = {record.values["batteryPack"]: record.values["productionDate"] for record in _of(AUTOMOTIVE, "auto-vehicle")}
    assert packs.keys() == cars.keys()
    assert all(packs[each] < cars[each] for each in packs)


def test_a_product_declares_the_ingredients_of_its_lot():
    names = {record.identifier: record.values["nameCn"] for record in _of(COSMETICS, "cosmetics-ingredient")}
    arrived = {r.identifier: r.values["receivingDate"] for r in _of(COSMETICS, "cosmetics-ingredient")}
    lots = {record.identifier: record.values for record in _of(COSMETICS, "cosmetics-lot")}
    for product in _of(COSMETICS, "cosmetics-product"):
        lot = lots[product.values["lotHandle"]]
        declared = product.values["ingredients"].split("、")
        used = lot["ingredientLots"].split(";")
        assert {names[each] for each in used} <= set(declared)
        assert len(set(declared)) == len(declared)
        assert all(arrived[each] < lot["productionDate"] for each in used)
        alike = ("productName", "batchNo", "productionDate", "expiryDate", "netContent")
        assert [product.values[name] for name in alike] == [lot[name] for name in alike]


def test_every_ingredient_is_used():
    used = {each for lot in _of(COSMETICS, "cosmetics-lot") for each in lot.values["ingredientLots"].split(";")}
    assert used == {record.identifier for record in _of(COSMETICS, "cosmetics-ingredient")}


def test_each_robot_has_a_controller_of_its_own_and_works_for_an_enterprise_of_this_world():
    robots = _of(EQUIPMENT, "equipment-robot")
    assert sorted(robot.values["controller"] for robot in robots) == sorted(
        record.identifier for record in _of(EQUIPMENT, "equipment-controller")
    )
    axes = {r.identifier: r.values["axisCount"] for r in _of(EQUIPMENT, "equipment-controller")}
    assert all(axes[robot.values["controller"]] == robot.values["axisCount"] for robot in robots)
    assert {robot.values["customerName"] for robot in robots} == {each.name for each in ENTERPRISES[:3]}
    assert Counter(robot.values["runState"] for robot in robots) == {"运行": len(robots) - 1, "检修": 1}


# --- Codes -------------------------------------------------------------------------------------------------

VIN_VALUES = {sign: int(sign) for sign in "0123456789"}
VIN_VALUES |= dict(zip("ABCDEFGH", range(1, 9), strict=True)) | dict(zip("JKLMN", range(1, 6), strict=True))
VIN_VALUES |= {"P": 7, "R": 9} | dict(zip("STUVWXYZ", range(2, 10), strict=True))


def _vin_sign(vin: str) -> str:
    weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]
    rest = sum(VIN_VALUES[sign] * weight for sign, weight in zip(vin, weights, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def test_vins_have_their_check_sign():
    assert _vin_sign("1M8GDM9AXKP042788") == "X"  # the textbook's
    vins = _every("vin")
    assert len(set(vins)) == len(vins) == len(_of(AUTOMOTIVE, "auto-vehicle"))
    for vin in vins:
        assert re.fullmatch("[A-HJ-NPR-Z0-9]{17}", vin)
        assert vin[8] == _vin_sign(vin)


def _gs1_holds(digits: str) -> bool:
    return sum(int(digit) * (1 if n % 2 == 0 else 3) for n, digit in enumerate(reversed(digits))) % 10 == 0


def test_gtins_and_ssccs_have_their_check_digit():
    assert _gs1_holds("6901234567892")
    assert not _gs1_holds("6901234567893")
    gtins, ssccs = _every("gtin"), _every("sscc")
    assert {len(each) for each in gtins} == {13}
    assert {len(each) for each in ssccs} == {18}
    assert len(set(ssccs)) == len(ssccs)
    assert all(map(_gs1_holds, gtins + ssccs))


def _credit_code_holds(code: str) -> bool:
    values = ["0123456789ABCDEFGHJKLMNPQRTUWXY".index(sign) for sign in code]
    return (sum(value * pow(3, n, 31) for n, value in enumerate(values[:17])) + values[17]) % 31 == 0


def test_credit_codes_have_their_check_sign():
    assert _credit_code_holds("91350100M000100Y43")  # the example of GB 32100-2015
    codes = set(_every("manufacturerUscc"))
    assert len(codes) == len(ENTERPRISES)
    assert all(map(_credit_code_holds, codes))
    assert not _credit_code_holds("91440114MAE9X8K18F")


def test_cas_numbers_have_their_check_digit():
    numbers = _every("casNo")
    assert len(set(numbers)) == 14
    for number in numbers:
        *digits, check = (int(sign) for sign in number.replace("-", ""))
        assert sum(n * digit for n, digit in enumerate(reversed(digits), 1)) % 10 == check, number


def test_battery_codes_are_of_24_signs_and_unique():
    codes = _every("cellCode") + _every("packCode")
    assert len(set(codes)) == len(codes)
    for record in _of(AUTOMOTIVE, "auto-cell"):
        made = date.fromisoformat(record.values["productionDate"])
        day = "123456789ABCDEFGHJKLMNPRSTVWXY0"[made.day - 1]
        assert re.fullmatch(rf"99ZCB1[28]HF01L02G{made.month}{day}\d{{7}}", record.values["cellCode"])


def test_dates_are_dates_of_that_year():
    days = [day for _, r in ALL for name, day in r.values.items() if re.search(r"Date$|^(warrantyEnd|last)", name)]
    assert len(days) > 300
    years = Counter(date.fromisoformat(day).year for day in days)
    assert set(years) <= {2025, 2026, 2027, 2028, 2029}
    assert years[2026] > years.total() * 0.7


def test_filings_follow_the_product():
    forms = {"面霜": r"浙G妆网备字2026\d{6}", "乳液": r"浙G妆网备字2026\d{6}", "防晒霜": r"国妆特字2026\d{4}"}
    for product in _of(COSMETICS, "cosmetics-product"):
        assert re.fullmatch(forms[product.values["category"]], product.values["registrationOrFilingNo"])
        assert ("sunProtection" in product.values) == (product.values["category"] == "防晒霜")


def test_there_is_variety():
    bags = _of(LEATHER, "leather-handbag")
    assert len({bag.values["productName"] for bag in bags}) == 20
    assert len({bag.values["antiCounterfeitCode"] for bag in bags}) == len(bags)
    assert len({bag.values["weight"] for bag in bags}) > 40
    assert len({cell.values["measuredCapacity"] for cell in _of(AUTOMOTIVE, "auto-cell")}) > 60
