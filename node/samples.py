"""The sample world: four invented enterprises and what they make, whole chains of it, the same at every start.

Only what a stranger sees first; rules and templates are registry's. No chance, no clock: 2026 is written down.
Firms, brands and people are made up; check digits are right, and standards and substances are real ones.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from registry.filing import Particulars

SECONDARY: Final = "88.999"
"""Prefix of the sample secondary node."""

_LEATHER: Final = f"{SECONDARY}.1001"
_AUTOMOTIVE: Final = f"{SECONDARY}.2001"
_COSMETICS: Final = f"{SECONDARY}.3001"
_EQUIPMENT: Final = f"{SECONDARY}.4001"


@dataclass(frozen=True)
class SampleEnterprise:
    """An enterprise of the sample world. `username` is that of its person account."""

    name: str
    name_en: str
    industry: str
    prefix: str
    username: str


@dataclass(frozen=True)
class SampleRecord:
    """One identifier with its template version and its values, attribute name to text."""

    identifier: str
    template: str
    values: dict[str, str]


def sample_records(prefix: str) -> list[SampleRecord]:
    """What the enterprise of `prefix` has registered; a reference points only to what stands earlier in the list.

    Raises KeyError when no enterprise of ENTERPRISES has that prefix.
    """
    return list(_MADE_BY[prefix]())


# --- How tables are written and read -----------------------------------------------------------------------
# Columns and pairs bear the names of attributes; a name that begins with "_" is for the arithmetic here.


def _rows(text: str) -> list[list[str]]:
    """A row a line (a backslash goes on), cells parted by bars."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def _table(text: str) -> list[dict[str, str]]:
    """Rows by column name; the first line names the columns."""
    names, *rows = _rows(text)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _same(text: str) -> dict[str, str]:
    """`name=text` pairs parted by bars or line ends: what all records of a kind have alike."""
    pairs = (cell.partition("=") for row in _rows(text) for cell in row)
    return {name: value for name, _, value in pairs}


def _record(identifier: str, template: str, *parts: dict[str, str]) -> SampleRecord:
    """The parts as one record, the later ones winning; what is empty or only ours is left out."""
    values = {name: text for part in parts for name, text in part.items() if not name.startswith("_")}
    return SampleRecord(identifier, template, {name: text for name, text in values.items() if text})


def _day(number: int) -> date:
    """The day `number` days after 5 January 2026, a Monday."""
    return date(2026, 1, 5) + timedelta(number)


def _until(first: date, years: int) -> str:
    """The last day of `years` years that begin with `first`."""
    return (first.replace(year=first.year + years) - timedelta(1)).isoformat()


def _drawn(key: str) -> int:
    """A number below 2^64 that looks random and is always the same for `key`."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _measured(key: str, low: float, high: float, places: int = 0) -> str:
    """What a gauge would have shown for `key`, from `low` to `high`."""
    return f"{low + _drawn(key) / 2**64 * (high - low):.{places}f}"


def _inspector(number: int) -> str:
    return ("林雅琴", "周启明", "何思远", "郑海燕", "陈立群")[number % 5]


def _gs1(digits: str) -> str:
    """`digits` with the check digit of GTIN and SSCC (GS1 General Specifications §7.9)."""
    weighed = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return f"{digits}{-weighed % 10}"


ENTERPRISES: Final = tuple(
    SampleEnterprise(*row)
    for row in _rows(f"""
广州云岫皮具有限公司       | Guangzhou Yunxiu Leather Goods Co., Ltd.     | leather    | {_LEATHER}    | leather
合肥星禾新能源汽车有限公司 | Hefei Xinghe New Energy Vehicle Co., Ltd.    | automotive | {_AUTOMOTIVE} | automotive
杭州沐棠生物科技有限公司   | Hangzhou Mutang Biotechnology Co., Ltd.      | cosmetics  | {_COSMETICS}  | cosmetics
沈阳衡枢机器人有限公司     | Shenyang Hengshu Robotics Co., Ltd.          | equipment  | {_EQUIPMENT}  | equipment
""")
)
_NAME: Final = {each.prefix: each.name for each in ENTERPRISES}
_CREDIT_CODES: Final = ("91440114MAE9X8K18E", "91340123MAE7H6T294", "91330110MAE5M4R34C", "91210112MAE3K2Q48Y")
_ADDRESSES: Final = (
    "广州市花都区狮岭镇合成路18号",
    "合肥市肥西县经济开发区玉兰大道66号",
    "杭州市临平区塘栖镇塘旺街27号",
    "沈阳市浑南区世纪路9号",
)


def particulars_of(prefix: str) -> Particulars:
    """What is filed of the enterprise of `prefix`: districts are those in its credit code (GB 32100 §4.3).

    Raises ValueError when no enterprise of ENTERPRISES has that prefix.
    """
    number = [each.prefix for each in ENTERPRISES].index(prefix)
    each, code = ENTERPRISES[number], _CREDIT_CODES[number]
    return Particulars(
        ent_crt_code=code,
        ent_type=2,
        ent_province_code=f"{code[2:4]}0000",
        ent_city_code=f"{code[2:6]}00",
        ent_county_code=code[2:8],
        ent_addr_cn=_ADDRESSES[number],
        ent_web_site=f"https://{each.username}.example",
        ent_desc="示例企业，纯属虚构",
        contact_name=_inspector(number),
        contact_email=f"contact@{each.username}.example",
        contact_phone=f"000-1234567{number}",
        legal_name=_inspector(number + 1),
        legal_id_type=6,
        legal_id_no=f"E0000000{number}",
    )


_MAKER: Final = {
    each.prefix: {"manufacturerName": each.name, "manufacturerUscc": code}
    for each, code in zip(ENTERPRISES, _CREDIT_CODES, strict=True)
}


# --- Leather goods: three tanneries, six batches, five pallets of four cartons of six bags ------------------

_HIDES: Final = _table("""
colour | leatherType | finish   | tanningMethod | thickness | animalOrigin   | tannery        | hideCount | _each
曜石黑 | 头层牛皮    | 荔枝纹   | 铬鞣          | 1.4       | 内蒙古草原黄牛 | 辛集北苑制革厂 | 96        | 2.31
酒红   | 头层牛皮    | 纳帕纹   | 铬鞣          | 1.2       | 山东鲁西黄牛   | 海宁青塘皮革厂 | 72        | 2.24
焦糖棕 | 头层牛皮    | 植鞣光面 | 植鞣          | 1.8       | 河南南阳黄牛   | 晋江岚溪制革厂 | 64        | 2.18
雾霾蓝 | 头层牛皮    | 十字纹   | 无铬鞣        | 1.3       | 山东鲁西黄牛   | 海宁青塘皮革厂 | 58        | 2.25
燕麦白 | 头层羊皮    | 软面     | 无铬鞣        | 0.9       | 宁夏滩羊       | 辛集北苑制革厂 | 210       | 0.62
墨绿   | 头层牛皮    | 摔纹     | 铬鞣          | 1.5       | 内蒙古草原黄牛 | 晋江岚溪制革厂 | 80        | 2.30
""")
_TANNERIES: Final = _table("""
_code | tanneryName    | region       | mainProducts           | tanningMethods | foundedYear | wastewaterReuse \
    | traceability | tanneryUscc        | annualCapacity | address                         | contact | supplierGrade \
    | firstOrder
BY    | 辛集北苑制革厂 | 河北省辛集市 | 羊皮、牛皮鞋面与包袋革 | 铬鞣;无铬鞣    | 1996        | 62.5            \
    | 全程可追溯   | 91130181MA0K7T2Q89 | 1200000        | 河北省辛集市制革工业区3号       | 韩立新  | A             \
    | 2019-03-12
QT    | 海宁青塘皮革厂 | 浙江省海宁市 | 纳帕、十字纹包袋革     | 铬鞣;无铬鞣    | 2004        | 71              \
    | 全程可追溯   | 91330481MA2D5R8H3P | 860000         | 浙江省海宁市青塘路18号          | 沈佩芬  | A             \
    | 2020-06-01
LX    | 晋江岚溪制革厂 | 福建省晋江市 | 植鞣革、摔纹革         | 铬鞣;植鞣      | 2009        | 48.5            \
    | 部分可追溯   | 91350582MA3N9C4W2K | 540000         | 福建省晋江市安海镇岚溪工业路9号 | 蔡文彬  | B             \
    | 2022-09-20
""")
_EVERY_TANNERY: Final = _same("""
certification=LWG 银级|certificateUntil=2027-12-31|standardNo=GB 30486-2013
""")
_STYLES: Final = _table("""
styleNo | _name      | articleType | closure | size        | capacity | _grams | retailPrice | usage | targetUser
YX-T101 | 望舒托特包 | 托特包      | 拉链    | 360×130×280 | 12.5     | 860    | 1280        | 通勤  | 女士
YX-C205 | 青梧斜挎包 | 斜挎包      | 磁吸扣  | 240×85×170  | 3.4      | 480    | 899         | 休闲  | 女士
YX-S603 | 朝暮手提包 | 手提包      | 转锁    | 280×120×220 | 7.0      | 760    | 1380        | 社交  | 女士
YX-B312 | 行远双肩包 | 双肩包      | 拉链    | 300×140×410 | 16.8     | 1050   | 1480        | 通勤  | 男女通用
YX-D408 | 知节公文包 | 公文包      | 拉链    | 390×90×290  | 9.6      | 1120   | 1680        | 商务  | 男士
YX-H507 | 云栖水桶包 | 水桶包      | 抽绳    | 220×160×260 | 8.2      | 640    | 1099        | 休闲  | 女士
YX-M704 | 山行邮差包 | 邮差包      | 插扣    | 350×110×260 | 9.9      | 930    | 1260        | 休闲  | 男士
YX-L809 | 听澜旅行袋 | 旅行袋      | 拉链    | 480×230×290 | 31.0     | 1580   | 2180        | 旅行  | 男女通用
""")
_SHOPS: Final = _table("""
customer             | destination        | plateNo
杭州锦里百货有限公司 | 浙江省杭州市拱墅区 | 粤A·7K9**
成都望江商贸有限公司 | 四川省成都市锦江区 | 粤A·3M5**
上海澄怀零售有限公司 | 上海市徐汇区       | 粤A·6P1**
武汉楚廷百货有限公司 | 湖北省武汉市江汉区 | 粤A·9C0**
西安长夏商业有限公司 | 陕西省西安市雁塔区 | 粤A·2H6**
""")
_EVERY_BATCH: Final = _same("""
colourFastness=干擦 4-5 级，湿擦 4 级|chromiumSix=未检出（<3 mg/kg）|standardNo=GB 20400-2006|inspectionResult=合格
""")
_EVERY_PALLET: Final = _same("""
palletType=木质平托盘|cartonCount=4|size=1200×1000×150|loadLimit=1000|stackHeight=630|volume=0.76
heatTreatment=IPPC CN HT|standardNo=GB/T 2934-2007|haulier=广州驰岭物流有限公司|warehouse=狮岭成品一仓
""")
_EVERY_CARTON: Final = _same("""
quantity=6|size=600×500×480|material=五层双瓦楞纸板|stackingLimit=5|storageInfo=怕雨，向上，避免重压
standardNo=GB/T 6543-2008|originPlace=广东省广州市花都区
""")
_EVERY_BAG: Final = _same("""
brand=云岫|productLine=箱包|productCategory=真皮包袋|season=春夏|designYear=2026|warrantyMonths=24
inspectionResult=合格|originPlace=广东省广州市花都区
careInfo=避免雨淋、暴晒和接触尖锐物。日常用柔软干布轻拭，污渍用皮革专用清洁剂处理，勿用酒精或湿巾。\
每三个月薄涂一次皮革护理乳；不用时填充撑形，置于防尘袋内，放在通风干燥处。
""")
_LUGGAGE: Final = {"旅行袋": "QB/T 2155-2018"}
"""Standards of articles that are not shoulder bags and handbags (QB/T 1333)."""
_BACKPACKS: Final = {"双肩包": "42029100", "旅行袋": "42029100"}
"""HS codes of leather articles that are not handbags (4202.21)."""
_GS1_LEATHER: Final = "6978801"
_BAGS: Final = 6
_CARTONS: Final = 4


def _leather() -> Iterator[SampleRecord]:
    yield from map(_tannery, _TANNERIES)
    yield from (_batch(number) for number in range(len(_HIDES)))
    yield from (_pallet(number) for number in range(len(_SHOPS)))
    yield from (_carton(number) for number in range(len(_SHOPS) * _CARTONS))
    yield from (_handbag(number) for number in range(len(_SHOPS) * _CARTONS * _BAGS))


def _packed(carton: int) -> date:
    """The day after the bags of `carton` were made; one carton every second day from 3 March 2026."""
    return _day(57 + 2 * carton)


def _batch_id(batch: int) -> str:
    return f"{_LEATHER}/LB-{_day(3 + 5 * batch):%Y%m%d}-01"


def _pallet_id(pallet: int) -> str:
    return f"{_LEATHER}/PLT-{_packed((pallet + 1) * _CARTONS):%Y%m}-{pallet + 1:04d}"


def _carton_id(carton: int) -> str:
    return f"{_LEATHER}/CTN-{_packed(carton):%Y%m}-{carton + 1:05d}"


def _style(carton: int) -> dict[str, str]:
    return _STYLES[carton % len(_STYLES)]


def _gross(carton: int) -> float:
    """Kilograms of a carton: its bags, 120 g of filling each, and 1.65 kg of cardboard."""
    return _BAGS * (int(_style(carton)["_grams"]) + 120) / 1000 + 1.65


def _tannery_id(tannery: dict[str, str]) -> str:
    return f"{_LEATHER}/TAN-{tannery['_code']}-01"


def _tannery(tannery: dict[str, str]) -> SampleRecord:
    own = {"dischargePermitNo": f"{tannery['tanneryUscc']}001P"}
    return _record(_tannery_id(tannery), "leather-tannery", _EVERY_TANNERY, tannery, own)


def _batch(number: int) -> SampleRecord:
    identifier, hide, received = _batch_id(number), _HIDES[number], _day(3 + 5 * number)
    own = {
        "batchNo": f"LB{received:%y%m%d}01",
        "tanneryHandle": next(_tannery_id(each) for each in _TANNERIES if each["tanneryName"] == hide["tannery"]),
        "area": f"{int(hide['hideCount']) * float(hide['_each']):.1f}",
        "grade": ("一级", "特级")[number % 2],
        "dyeLot": f"DG{26010 + number}",
        "tearStrength": _measured(identifier, 32, 58),
        "formaldehyde": _measured(f"{identifier} HCHO", 8, 42, 1),
        "inspectionReportNo": f"LTR-2026-{1140 + 7 * number}",
        "inspector": _inspector(number),
        "inboundDate": received.isoformat(),
        "storageLocation": f"原料仓 A-{number + 1:02d}-2",
        "purchaseOrder": f"PO2512-{330 + 3 * number:04d}",
        "unitPrice": _measured(f"{identifier} price", 165, 290, 1),
    }
    return _record(identifier, "leather-batch", _EVERY_BATCH, hide, own)


def _pallet(number: int) -> SampleRecord:
    first = number * _CARTONS
    stacked, cartons = _packed(first + _CARTONS), range(first, first + _CARTONS)
    own = {
        "palletNo": f"TP{stacked:%y%m}{number + 1:04d}",
        "grossWeight": f"{sum(map(_gross, cartons)) + 22:.1f}",
        "sscc": _gs1(f"0{_GS1_LEATHER}{900000 + number:09d}"),
        "loadingDate": stacked.isoformat(),
        "shipmentNo": f"YF{stacked:%Y%m%d}{61 + number:03d}",
        "sealNo": f"GZ{704410 + 13 * number}",
        "storageLocation": f"C-{number + 3:02d}-1",
        "operator": ("罗建平", "吴小娟")[number % 2],
    }
    return _record(_pallet_id(number), "leather-pallet", _MAKER[_LEATHER], _EVERY_PALLET, _SHOPS[number], own)


def _carton(number: int) -> SampleRecord:
    style, packed, pallet = _style(number), _packed(number), number // _CARTONS
    own = {
        "cartonNo": f"CT{packed:%y%m}{number + 1:05d}",
        "productName": f"云岫{style['_name']}",
        "styleNo": style["styleNo"],
        "colour": _HIDES[number % len(_HIDES)]["colour"],
        "grossWeight": f"{_gross(number):.2f}",
        "netWeight": f"{_BAGS * int(style['_grams']) / 1000:.2f}",
        "sscc": _gs1(f"3{_GS1_LEATHER}{number + 1:09d}"),
        "packingDate": packed.isoformat(),
        "parentHandle": _pallet_id(pallet),
        "orderNo": f"SO2602-{118 + pallet:04d}",
        "customer": _SHOPS[pallet]["customer"],
        "destination": _SHOPS[pallet]["destination"],
        "sealNo": f"FQ{520300 + number}",
        "packingLine": f"包装 {number % 2 + 1} 线",
        "packer": ("黄秋月", "梁志强", "苏美玲")[number % 3],
    }
    return _record(_carton_id(number), "leather-carton", _MAKER[_LEATHER], _EVERY_CARTON, own)


def _handbag(number: int) -> SampleRecord:
    identifier, carton = f"{_LEATHER}/BAG-2026-{number + 1:06d}", number // _BAGS
    style, batch, made = _style(carton), carton % len(_HIDES), _packed(carton) - timedelta(1)
    hide, pallet, article = _HIDES[batch], carton // _CARTONS, style["articleType"]
    own = {
        "colour": hide["colour"],
        "productName": f"云岫{style['_name']}（{hide['colour']}）",
        "weight": str(int(style["_grams"]) + _drawn(identifier) % 25 - 12),
        "shellMaterial": f"{hide['leatherType']}（{hide['finish']}）",
        "leatherType": hide["leatherType"],
        "leatherBatch": _batch_id(batch),
        "liningMaterial": ("超细纤维绒", "纯棉帆布", "提花涤纶")[carton % 3],
        "hardware": ("锌合金镀浅金", "304 不锈钢拉丝")[carton % 2],
        "standardNo": _LUGGAGE.get(article, "QB/T 1333-2018"),
        "qcGrade": "一等品" if _drawn(f"{identifier} grade") % 5 == 0 else "优等品",
        "gtin": _gs1(f"{_GS1_LEATHER}{100 * (carton % len(_STYLES) + 1) + batch:05d}"),
        "productionDate": made.isoformat(),
        "hsCode": _BACKPACKS.get(article, "42022100"),
        "antiCounterfeitCode": f"{_drawn(f'{identifier} code') % 10**16:016d}",
        "salesChannel": ("百货专柜", "品牌直营店", "线上旗舰店")[pallet % 3],
        "parentHandle": _carton_id(carton),
        "customer": _SHOPS[pallet]["customer"],
        "processOrder": f"MO{made:%y%m%d}-{carton + 1:02d}",
        "productionLine": f"缝制 {carton % 4 + 1} 组",
        "inspector": _inspector(number),
        "unitCost": f"{int(style['retailPrice']) * 0.31:.1f}",
    }
    return _record(identifier, "leather-handbag", _MAKER[_LEATHER], _EVERY_BAG, style, own)


# --- Automotive: six small cars, each with a pack of 24 lithium iron phosphate cells in series -------------

_BATTERIES: Final = _table("""
_cell  | _ah | _size      | _grams | _pack   | _kg | _trim  | _vds  | range | energyConsumption | motorPower \
    | curbWeight | retailPrice
LFP120 | 120 | 174×48×125 | 2330   | XH-P092 | 78  | 都市版 | M1C20 | 120   | 8.8               | 20 \
    | 705        | 36800
LFP180 | 180 | 174×54×170 | 3390   | XH-P138 | 108 | 畅行版 | M1L30 | 170   | 9.1               | 30 \
    | 778        | 46800
""")
_BODIES: Final = ("云母白", "天青蓝", "樱花粉", "竹叶绿", "石墨灰", "暖杏黄")
_CELLS: Final = 24
_CELL_VOLTS: Final = 3.2
_EVERY_BATTERY: Final = _same("""
chemistry=磷酸铁锂|standardNo=GB 38031-2020|inspectionResult=合格
recyclingInfo=退役电池属于危险货物，禁止拆解和丢弃；请交新能源汽车动力蓄电池回收服务网点处理。
""")
_EVERY_CELL: Final = _same("""
nominalVoltage=3.2|cycleLife=≥3000 次（25 ℃，1C，容量保持率 80%）|workTemperature=充电 0～55，放电 -20～60
cathodeSupplier=铜陵皓川新材料有限公司|electrolyteSupplier=池州润庭电解液有限公司
""")
_EVERY_PACK: Final = _same("""
grouping=1P24S|cellCount=24|coolingMethod=自然冷却|protectionGrade=IP67|hardwareVersion=H2.1|bmsModel=XH-BMS24
softwareVersion=V3.4.2|supplierCode=XH0137|stateOfHealth=100|warranty=8 年或 12 万公里|productionLine=PACK 1 线
""")
_EVERY_CAR: Final = _same("""
brand=星禾|modelYear=2026|fuelType=纯电动|productName=星禾 M1 纯电动轿车|vehicleClass=微型轿车|seats=4
transmission=固定速比减速器|driveType=后轮驱动|size=3010×1500×1620|standardNo=GB 18384-2020|recallStatus=无召回
warranty=整车 3 年或 12 万公里|plant=合肥肥西工厂|inspectionResult=合格|softwareVersion=M1-OS 2.6.0
hardwareVersion=VCU H1.3|assemblyStation=总装 1 线 T48
""")
_BATTERY_DAYS: Final = "123456789ABCDEFGHJKLMNPRSTVWXY0"
"""Signs of months and days in a battery code; the year 2026 is G."""
_VIN_DIGITS: Final = str.maketrans("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789")
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def _automotive() -> Iterator[SampleRecord]:
    yield from (_cell(number) for number in range(len(_BODIES) * _CELLS))
    yield from (_pack(number) for number in range(len(_BODIES)))
    yield from (_vehicle(number) for number in range(len(_BODIES)))


def _battery(pack: int) -> dict[str, str]:
    return _BATTERIES[pack % len(_BATTERIES)]


def _cell_id(number: int) -> str:
    return f"{_AUTOMOTIVE}/CELL-{_battery(number // _CELLS)['_cell']}-{number + 1:07d}"


def _pack_id(number: int) -> str:
    return f"{_AUTOMOTIVE}/PACK-{_battery(number)['_pack']}-{number + 1:06d}"


def _battery_code(kind: str, spec: str, made: date, serial: int) -> str:
    """24 characters of GB/T 34014-2017: maker, product (C cell, P pack), B for LFP, spec, trace, day, serial."""
    day = f"G{_BATTERY_DAYS[made.month - 1]}{_BATTERY_DAYS[made.day - 1]}"
    return f"99Z{kind}B{spec}HF01L02{day}{serial:07d}"


def _vin(descriptor: str, serial: int) -> str:
    """17 characters of GB 16735-2019: maker L98, five that describe, check, T for 2026, plant H, serial."""
    blank = f"L98{descriptor}0TH{serial:06d}"
    digits = map(int, blank.translate(_VIN_DIGITS))
    rest = sum(digit * weight for digit, weight in zip(digits, _VIN_WEIGHTS, strict=True)) % 11
    return f"{blank[:8]}{'0123456789X'[rest]}{blank[9:]}"


def _cell(number: int) -> SampleRecord:
    identifier, pack = _cell_id(number), number // _CELLS
    battery, made = _battery(pack), _day(50 + pack)
    hours, grams, model = int(battery["_ah"]), int(battery["_grams"]), battery["_cell"]
    own = {
        "cellCode": _battery_code("C", model[3:5], made, number + 1),
        "model": model,
        "nominalCapacity": str(hours),
        "energyDensity": f"{_CELL_VOLTS * hours * 1000 / grams:.0f}",
        "size": battery["_size"],
        "weight": str(grams + _drawn(identifier) % 21 - 10),
        "productionDate": made.isoformat(),
        "batchNo": f"{model}-{made:%y%m%d}A",
        "openCircuitVoltage": _measured(f"{identifier} V", 3.291, 3.297, 4),
        "measuredCapacity": _measured(f"{identifier} Ah", hours + 1.2, hours + 3.4, 2),
        "internalResistance": _measured(f"{identifier} mΩ", 0.38, 0.46, 3),
        "sortingGrade": ("A1", "A2")[_drawn(f"{identifier} sort") % 2],
        "selfDischarge": _measured(f"{identifier} mV/d", 0.2, 0.9, 2),
        "productionLine": f"电芯 {pack % 2 + 1} 线",
        "inspector": _inspector(pack),
    }
    return _record(identifier, "auto-cell", _MAKER[_AUTOMOTIVE], _EVERY_BATTERY, _EVERY_CELL, own)


def _pack(number: int) -> SampleRecord:
    identifier, battery, made = _pack_id(number), _battery(number), _day(59 + 2 * number)
    volts, kilograms, model = _CELLS * _CELL_VOLTS, int(battery["_kg"]), battery["_pack"]
    energy = volts * int(battery["_ah"]) / 1000
    own = {
        "packCode": _battery_code("P", model[-3:-1], made, number + 1),
        "model": model,
        "ratedEnergy": f"{energy:.1f}",
        "ratedVoltage": f"{volts:.1f}",
        "ratedCapacity": battery["_ah"],
        "energyDensity": f"{energy * 1000 / kilograms:.0f}",
        "weight": str(kilograms),
        "cells": ";".join(map(_cell_id, range(number * _CELLS, (number + 1) * _CELLS))),
        "productionDate": made.isoformat(),
        "partNo": f"2101010-{model[-3:]}",
        "insulationResistance": _measured(identifier, 620, 980),
        "keyTestValues": f"气密泄漏 {_measured(f'{identifier} Pa', 12, 31)} Pa/min；"
        f"单体压差 {_measured(f'{identifier} mV', 3, 9)} mV；耐压 1000 V 60 s 通过",
        "customer": _NAME[_AUTOMOTIVE],
        "assemblyStation": f"OP{110 + 10 * (number % 3)}",
        "inspector": _inspector(number),
    }
    return _record(identifier, "auto-pack", _MAKER[_AUTOMOTIVE], _EVERY_BATTERY, _EVERY_PACK, own)


def _vehicle(number: int) -> SampleRecord:
    battery = _battery(number)
    vin = _vin(battery["_vds"], 101 + number)
    own = {
        "model": f"M1 {battery['_trim']}",
        "vin": vin,
        "bodyColour": _BODIES[number],
        "motorModel": f"XHTZ150X{battery['motorPower']}",
        "batteryPack": _pack_id(number),
        "cccCertNo": f"2026011101{608120 + number % 2}",
        "productionDate": _day(87 + 3 * number).isoformat(),
        "conformityNo": f"XH9900{26000101 + number:09d}",
        "dealer": ("合肥庐阳星禾体验店", "芜湖镜湖星禾体验店", "南京江宁星禾体验店")[number % 3],
        "customer": ("个人用户（已脱敏）", "合肥绿径出行有限公司")[number % 2],
        "keyTorque": f"前悬架螺栓 {_measured(f'{vin} front', 103, 109)} N·m；"
        f"车轮螺母 {_measured(f'{vin} wheel', 98, 104)} N·m；电池包固定螺栓 {_measured(f'{vin} pack', 58, 62)} N·m",
        "keyTestValues": f"绝缘电阻 {_measured(f'{vin} MΩ', 18, 36)} MΩ；"
        f"侧滑 {_measured(f'{vin} slip', 0.4, 2.6, 1)} m/km；制动力总和 {_measured(f'{vin} brake', 68, 81)}%",
        "inspector": _inspector(number),
    }
    identifier = f"{_AUTOMOTIVE}/CAR-XHM1-{number + 1:06d}"
    return _record(identifier, "auto-vehicle", _MAKER[_AUTOMOTIVE], _EVERY_CAR, battery, own)


# --- Cosmetics: fourteen ingredients, a filling lot of each of six formulas, twelve products of each lot ---

_MATERIALS: Final = _table("""
materialCode | nameCn | inciName                     | casNo       | purpose    | appearance   | originCountry | purity
GLYC | 甘油              | GLYCERIN                     | 56-81-5     | 保湿剂     | 无色黏稠液体   | 马来西亚 | 99.7
BUGL | 丁二醇            | BUTYLENE GLYCOL              | 107-88-0    | 保湿剂     | 无色透明液体   | 日本     | 99.8
HANA | 透明质酸钠        | SODIUM HYALURONATE           | 9067-32-7   | 保湿剂     | 白色粉末       | 中国     | 95.2
NIAC | 烟酰胺            | NIACINAMIDE                  | 98-92-0     | 皮肤调理剂 | 白色结晶性粉末 | 中国     | 99.9
PANT | 泛醇              | PANTHENOL                    | 81-13-0     | 皮肤调理剂 | 无色黏稠液体   | 德国     | 98.6
CERN | 神经酰胺 NP       | CERAMIDE NP                  | 100403-19-8 | 皮肤调理剂 | 白色粉末       | 韩国     | 96.4
CICA | 积雪草（CENTELLA ASIATICA）提取物 | CENTELLA ASIATICA EXTRACT \
                                                        | 84696-21-9  | 皮肤调理剂 | 浅棕色粉末     | 中国     | 80.3
SQUA | 角鲨烷            | SQUALANE                     | 111-01-3    | 润肤剂     | 无色油状液体   | 西班牙   | 99.1
CCTG | 辛酸/癸酸甘油三酯 | CAPRYLIC/CAPRIC TRIGLYCERIDE | 73398-61-5  | 润肤剂     | 无色油状液体   | 马来西亚 | 99.5
SHEA | 牛油果树（BUTYROSPERMUM PARKII）果脂 | BUTYROSPERMUM PARKII (SHEA) BUTTER \
                                                        | 194043-92-0 | 润肤剂     | 淡黄色膏状固体 | 加纳     | 100
CEAL | 鲸蜡硬脂醇        | CETEARYL ALCOHOL             | 67762-27-0  | 乳化稳定剂 | 白色片状固体   | 马来西亚 | 99.0
TITA | 二氧化钛          | TITANIUM DIOXIDE             | 13463-67-7  | 防晒剂     | 白色粉末       | 日本     | 98.9
ZINC | 氧化锌            | ZINC OXIDE                   | 1314-13-2   | 防晒剂     | 白色粉末       | 日本     | 99.6
PHEN | 苯氧乙醇          | PHENOXYETHANOL               | 122-99-6    | 防腐剂     | 无色油状液体   | 德国     | 99.9
""")
_MATERIAL_PRICES: Final = _same("""
GLYC=9.8|BUGL=32|HANA=1650|NIAC=68|PANT=118|CERN=9800|CICA=860|SQUA=175|CCTG=42|SHEA=56|CEAL=26|TITA=210|ZINC=165|PHEN=48
""")
_FORMULAS: Final = _table("""
productCode | productName | category | netContent | executiveStandard | registrationOrFilingNo \
    | efficacyClaims   | sunProtection | skinType         | price | _materials
MT-HA50  | 沐棠透明质酸保湿面霜 | 面霜   | 50 g   | QB/T 1857-2013  | 浙G妆网备字2026000118 \
    | 保湿、滋养       |               | 干性、中性       | 168   | GLYC BUGL HANA CCTG CEAL PHEN
MT-CI50  | 沐棠积雪草舒缓修护霜 | 面霜   | 50 g   | QB/T 1857-2013  | 浙G妆网备字2026000126 \
    | 舒缓、修护、保湿 |               | 敏感性、各类肤质 | 198   | GLYC BUGL PANT CICA SQUA PHEN
MT-NI100 | 沐棠烟酰胺控油乳液   | 乳液   | 100 mL | GB/T 29665-2013 | 浙G妆网备字2026000203 \
    | 控油、保湿       |               | 油性、混合性     | 138   | GLYC BUGL NIAC HANA PHEN
MT-CE30  | 沐棠神经酰胺修护面霜 | 面霜   | 30 g   | QB/T 1857-2013  | 浙G妆网备字2026000231 \
    | 修护、保湿       |               | 干性、敏感性     | 226   | GLYC CERN SHEA CEAL CCTG PHEN
MT-SQ50  | 沐棠角鲨烷滋润晚霜   | 面霜   | 50 g   | QB/T 1857-2013  | 浙G妆网备字2026000307 \
    | 滋养、保湿       |               | 干性             | 188   | GLYC SQUA SHEA CEAL PANT PHEN
MT-UV50  | 沐棠清透防晒霜       | 防晒霜 | 50 g   | QB/T 1857-2013  | 国妆特字20260257 \
    | 防晒、保湿       | SPF50 PA+++   | 各类肤质         | 158   | GLYC TITA ZINC CCTG BUGL PHEN
""")
_DECLARED: Final = _rows("""
水、甘油、辛酸/癸酸甘油三酯、丁二醇、鲸蜡硬脂醇、聚二甲基硅氧烷、甘油硬脂酸酯、透明质酸钠、\
生育酚乙酸酯、卡波姆、黄原胶、苯氧乙醇、乙基己基甘油、EDTA 二钠、氢氧化钠
水、甘油、角鲨烷、丁二醇、泛醇、鲸蜡醇、积雪草（CENTELLA ASIATICA）提取物、甘油硬脂酸酯、\
尿囊素、红没药醇、卡波姆、苯氧乙醇、乙基己基甘油、精氨酸
水、丁二醇、烟酰胺、甘油、异壬酸异壬酯、二氧化硅、透明质酸钠、吡咯烷酮羧酸锌、\
卡波姆、黄原胶、苯氧乙醇、乙基己基甘油、氢氧化钠
水、甘油、辛酸/癸酸甘油三酯、牛油果树（BUTYROSPERMUM PARKII）果脂、鲸蜡硬脂醇、神经酰胺 NP、胆甾醇、\
植物鞘氨醇、甘油硬脂酸酯、氢化卵磷脂、黄原胶、苯氧乙醇、乙基己基甘油
水、角鲨烷、甘油、牛油果树（BUTYROSPERMUM PARKII）果脂、鲸蜡硬脂醇、泛醇、聚二甲基硅氧烷、\
甘油硬脂酸酯、生育酚乙酸酯、卡波姆、苯氧乙醇、乙基己基甘油、氢氧化钠
水、氧化锌、环五聚二甲基硅氧烷、二氧化钛、辛酸/癸酸甘油三酯、丁二醇、甘油、聚甘油-3 二异硬脂酸酯、\
氢氧化铝、硬脂酸、氯化钠、苯氧乙醇、乙基己基甘油
""")
"""The whole declaration of each formula, most first, a line each."""
_DIRECTIONS: Final = {
    "面霜": "早晚洁面后，取适量均匀涂抹于面部，轻轻按摩至吸收。",
    "乳液": "早晚洁面后，取适量均匀涂抹于面部，T 区可重点使用。",
    "防晒霜": "出门前 15 分钟取足量均匀涂抹于暴露部位，每两小时补涂一次；出汗或游泳后及时补涂。",
}
_LICENCE: Final = {"productionLicenceNo": "浙妆20230046"}
_EVERY_INGREDIENT: Final = _same("""
storageConditions=密封，避光，置于阴凉干燥处|inspectionResult=合格
safetyInfo=按化妆品安全技术规范使用；粉末状原料称量时佩戴防尘口罩，液体原料避免溅入眼睛。
""")
_EVERY_LOT: Final = _LICENCE | _same("""
workshopClass=准洁净区|mouldYeast=0|inspectionResult=合格|retainedSamples=12|releasedBy=沈予宁
""")
_EVERY_PRODUCT: Final = _LICENCE | _same(f"""
brand=沐棠|registrantName={_NAME[_COSMETICS]}|targetUser=成人|storageConditions=常温、避光、干燥处保存
periodAfterOpening=12|originCountry=中国|currency=CNY
warnings=仅供外用，避免接触眼睛；如不慎入眼，请立即用清水冲洗。使用中如有红肿、瘙痒等不适，请停止使用并就医。\
请置于儿童接触不到的地方。
""")
_GS1_COSMETICS: Final = "6978803"
_PRODUCTS: Final = 12


def _cosmetics() -> Iterator[SampleRecord]:
    yield from (_ingredient(number) for number in range(len(_MATERIALS)))
    yield from (_lot(number) for number in range(len(_FORMULAS)))
    yield from (_product(number) for number in range(len(_FORMULAS) * _PRODUCTS))


def _material_id(number: int) -> str:
    return f"{_COSMETICS}/ING-{_MATERIALS[number]['materialCode']}-{_day(8 + 2 * number):%Y%m%d}"


def _filled(lot: int) -> date:
    """One lot every fourth day from 6 March 2026."""
    return _day(60 + 4 * lot)


def _lot_id(number: int) -> str:
    return f"{_COSMETICS}/LOT-{_filled(number):%Y%m%d}-01"


def _filling(lot: int) -> dict[str, str]:
    """What a lot and its products have in common."""
    formula, made = _FORMULAS[lot], _filled(lot)
    return {
        "productName": formula["productName"],
        "netContent": formula["netContent"],
        "batchNo": f"{formula['productCode'][3:5]}{made:%y%m%d}A",
        "productionDate": made.isoformat(),
        "expiryDate": _until(made, 3),
        "inspectionReportNo": f"FP-2026-{87 + lot:04d}",
        "inspector": _inspector(lot),
    }


def _ingredient(number: int) -> SampleRecord:
    identifier, material, received = _material_id(number), _MATERIALS[number], _day(8 + 2 * number)
    made = received - timedelta(40 + number)
    own = {
        "batchNo": f"{material['materialCode']}{made:%y%m%d}",
        "productionDate": made.isoformat(),
        "expiryDate": _until(made, 2),
        "manufacturerName": ("湖州清岸化学有限公司", "青岛汐和生物有限公司", "苏州言蹊新材料有限公司")[number % 3],
        "submissionCode": f"{310200 + 17 * number:06d}-{1 + number:05d}-{2608 + number:04d}",
        "inspectionReportNo": f"RM-2026-{41 + number:04d}",
        "leadContent": _measured(f"{identifier} Pb", 0.1, 0.9, 2),
        "microbialCount": _measured(f"{identifier} CFU", 0, 30),
        "supplier": ("上海沐野化工贸易有限公司", "杭州蔚塘原料有限公司")[number % 2],
        "receivingDate": received.isoformat(),
        "quantity": f"{25 * (1 + number % 6)}",
        "unitPrice": _MATERIAL_PRICES[material["materialCode"]],
        "inspector": _inspector(number),
    }
    return _record(identifier, "cosmetics-ingredient", _EVERY_INGREDIENT, material, own)


def _lot(number: int) -> SampleRecord:
    identifier, formula, made = _lot_id(number), _FORMULAS[number], _filled(number)
    arrived = {material["materialCode"]: _material_id(n) for n, material in enumerate(_MATERIALS)}
    planned = (8000, 12000)[number % 2]
    own = {
        "ingredientLots": ";".join(arrived[code] for code in formula["_materials"].split()),
        "ph": _measured(f"{identifier} pH", 5.2, 6.6, 1),
        "microbialCount": _measured(f"{identifier} CFU", 0, 40),
        "leadContent": _measured(f"{identifier} Pb", 0.1, 1.2, 2),
        "standardNo": formula["executiveStandard"],
        "bulkBatchNo": f"B{made - timedelta(2):%y%m%d}-{number + 1:02d}",
        "fillingLine": f"膏霜灌装 {number % 3 + 1} 线",
        "viscosity": str(18000 + 400 * (_drawn(identifier) % 60)),
        "actualQuantity": str(planned - _drawn(f"{identifier} loss") % 160),
        "releaseDate": (made + timedelta(7)).isoformat(),
        "formulaNo": f"PF-{formula['productCode'][3:]}-V{number % 3 + 2}",
        "plannedQuantity": str(planned),
        "operator": ("方晓雯", "蒋国栋")[number % 2],
    }
    return _record(identifier, "cosmetics-lot", _MAKER[_COSMETICS], _EVERY_LOT, _filling(number), own)


def _product(number: int) -> SampleRecord:
    lot, serial = divmod(number, _PRODUCTS)
    formula, made = _FORMULAS[lot], _filled(lot)
    identifier = f"{_COSMETICS}/PRD-{formula['productCode']}-{serial + 1:06d}"
    own = {
        "ingredients": _DECLARED[lot][0],
        "useMethod": _DIRECTIONS[formula["category"]],
        "lotHandle": _lot_id(lot),
        "gtin": _gs1(f"{_GS1_COSMETICS}{1010 + 10 * lot:05d}"),
        "salesChannel": ("线上旗舰店", "美妆集合店", "药房专柜")[serial % 3],
        "distributor": ("杭州棠序商贸有限公司", "广州知微美妆有限公司")[serial % 2],
        "antiCounterfeitCode": f"{_drawn(identifier) % 10**16:016d}",
        "boxNo": f"{made:%y%m%d}-{serial // 6 + 1:03d}",
        "unitCost": f"{int(formula['price']) * 0.18:.1f}",
    }
    parts = (_MAKER[_COSMETICS], _EVERY_PRODUCT, _filling(lot), formula, own)
    return _record(identifier, "cosmetics-product", *parts)


# --- Intelligent equipment: fifteen controllers, fifteen robots, at work in the three other factories ------

_ROBOTS: Final = _table("""
model      | equipName      | robotType  | axisCount | payload | reach | repeatability | maxSpeed | ratedPower \
    | weight | mounting   | protectionGrade      | _controller | reducerModel | contractPrice
HS6-930    | 六轴装配机器人 | 垂直多关节 | 6         | 6       | 930   | 0.02          | 4.2      | 1.6 \
    | 49     | 地面、倒挂 | 本体 IP54，手腕 IP67 | HC-R6S      | ZQ-17H       | 76000
HS10-1440  | 六轴弧焊机器人 | 垂直多关节 | 6         | 10      | 1440  | 0.05          | 5.6      | 3.2 \
    | 168    | 地面、倒挂 | 本体 IP54，手腕 IP67 | HC-R6       | ZQ-20E       | 98000
HS20-1730  | 六轴搬运机器人 | 垂直多关节 | 6         | 20      | 1730  | 0.05          | 6.1      | 4.5 \
    | 246    | 地面、倒挂 | 本体 IP54，手腕 IP67 | HC-R6       | ZQ-40E       | 126000
HS165-2650 | 六轴点焊机器人 | 垂直多关节 | 6         | 165     | 2650  | 0.1           | 3.8      | 12.5 \
    | 1120   | 地面       | 本体 IP54，手腕 IP67 | HC-R6H      | ZQ-320E      | 268000
HSC5-600   | 四轴装配机器人 | 平面关节   | 4         | 5       | 600   | 0.02          | 6.3      | 0.9 \
    | 23     | 桌面       | IP40                 | HC-R4       | ZQ-14H       | 42000
""")
_CONTROLLERS: Final = {
    row["model"]: row
    for row in _table("""
model  | ratedVoltage     | ratedPower | size        | weight
HC-R4  | 单相 220 V 50 Hz | 1.2        | 330×300×180 | 14.5
HC-R6S | 单相 220 V 50 Hz | 2.0        | 420×380×240 | 24
HC-R6  | 三相 380 V 50 Hz | 6.5        | 580×560×620 | 88
HC-R6H | 三相 380 V 50 Hz | 16         | 800×620×980 | 176
""")
}
_SITES: Final = ((_AUTOMOTIVE, "焊装车间 2 号岛"), (_COSMETICS, "灌装车间装盒线"), (_LEATHER, "成品仓码垛区"))
_MACHINES: Final = len(_ROBOTS) * len(_SITES)
_EVERY_MACHINE: Final = _same("""
brand=衡枢|commProtocol=OPC UA、Modbus TCP、EtherCAT|firmwareVersion=R6.2.1|inspectionResult=合格
""")
_EVERY_CONTROLLER: Final = _same("""
safetyLevel=PL d，类别 3|protectionGrade=IP54|workTemperature=0～45|hardwareVersion=H3.0|standardNo=GB/T 5226.1-2019
warrantyMonths=24|chipSupplier=无锡砺芯微电子有限公司
""")
_EVERY_ROBOT: Final = _same("""
standardNo=GB 11291.1-2011|maintenanceCycle=4000|runState=运行|reducerSupplier=常州臻驱传动有限公司
""")
_STANDING: Final = {7: _same("runState=检修|alarmCode=E-2107（三轴减速器温度过高）")}
"""What differs for the robot that does not run, by its number."""


def _equipment() -> Iterator[SampleRecord]:
    yield from (_controller(number) for number in range(_MACHINES))
    yield from (_robot(number) for number in range(_MACHINES))


def _controller_id(number: int) -> str:
    return f"{_EQUIPMENT}/CTL-{_ROBOTS[number % len(_ROBOTS)]['_controller']}-{number + 1:06d}"


def _controller(number: int) -> SampleRecord:
    identifier, robot, made = _controller_id(number), _ROBOTS[number % len(_ROBOTS)], _day(3 + 2 * number)
    model = robot["_controller"]
    own = {
        "equipName": f"{robot['equipName'][:2]}机器人控制器",
        "factoryNo": f"HSC{made:%y%m}{number + 1:05d}",
        "axisCount": robot["axisCount"],
        "productionDate": made.isoformat(),
        "activeCarrierId": f"AIC-{_drawn(identifier):016X}",
        "batchNo": f"{model}-26W{made.isocalendar().week:02d}",
        "keyTestValues": f"接地连续性 {_measured(f'{identifier} Ω', 0.03, 0.08, 3)} Ω；老化 48 h 无报警；"
        f"安全停止响应 {_measured(f'{identifier} stop', 38, 62)} ms",
        "mainBoardNo": f"MB26{41070 + 3 * number}",
        "secureChipNo": f"SE{8800120 + number:010d}",
        "inspector": _inspector(number),
    }
    parts = (_MAKER[_EQUIPMENT], _EVERY_MACHINE, _EVERY_CONTROLLER, _CONTROLLERS[model], own)
    return _record(identifier, "equipment-controller", *parts)


def _robot(number: int) -> SampleRecord:
    robot, made = _ROBOTS[number % len(_ROBOTS)], _day(17 + 2 * number)
    identifier, started = f"{_EQUIPMENT}/ROB-{robot['model']}-{number + 1:06d}", made + timedelta(45)
    buyer, site = _SITES[number // len(_ROBOTS)]
    allowed = float(robot["repeatability"])
    own = {
        "factoryNo": f"HS{made:%y%m}{number + 1:05d}",
        "ratedVoltage": _CONTROLLERS[robot["_controller"]]["ratedVoltage"],
        "controller": _controller_id(number),
        "productionDate": made.isoformat(),
        "warrantyEnd": _until(started, 2),
        "operationManual": f"HS-UM-{robot['model']}-2026A",
        "calibrationCertNo": f"CAL-2026-{312 + number:04d}",
        "commissioningDate": started.isoformat(),
        "lastMaintenance": (started + timedelta(30)).isoformat(),
        "keyTestValues": f"位姿重复性 {_measured(f'{identifier} mm', allowed * 0.6, allowed * 0.9, 3)} mm；"
        f"满载连续运行 {_measured(f'{identifier} h', 48, 72)} h 无报警",
        "customerName": _NAME[buyer],
        "installSite": site,
        "inspector": _inspector(number),
    }
    parts = (_MAKER[_EQUIPMENT], _EVERY_MACHINE, _EVERY_ROBOT, robot, own, _STANDING.get(number, {}))
    return _record(identifier, "equipment-robot", *parts)


_MADE_BY: Final[dict[str, Callable[[], Iterator[SampleRecord]]]] = {
    _LEATHER: _leather,
    _AUTOMOTIVE: _automotive,
    _COSMETICS: _cosmetics,
    _EQUIPMENT: _equipment,
}
