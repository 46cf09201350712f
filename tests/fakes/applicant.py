"""What an enterprise that applies gives: a whole form, as an integration sends it, and ways to spoil it.

No test lives here. The firm and its people are invented, their check digits are right.
"""

from copy import deepcopy
from typing import Any

from proto.credit_code import check_character
from registry.account import digest_hex

PASSWORD = "a password of eight"


def credit_code(number: int) -> str:
    """A credit code of a firm in Huadu, another one for each number."""
    first = f"91440114MA{number:07d}"
    return first + check_character(first)


def applicant(number: int = 1, **basic: Any) -> dict[str, Any]:
    """The body of `ent/apply` of firm `number`, with what of `entBasicInfo` is said instead."""
    return {"sysUser": user(f"firm{number}", number)} | form(number, **basic)


def user(name: str, number: int = 1) -> dict[str, Any]:
    """A user of firm `number`."""
    return {
        "userName": name,
        "password": digest_hex(PASSWORD),
        "email": f"{name}@example.com",
        "mobile": f"1390000{number:04d}",
        "remarks": "",
    }


def form(number: int = 1, **basic: Any) -> dict[str, Any]:
    """The form of firm `number`."""
    return deepcopy(
        {
            "entBasicInfo": {
                "orgName": f"花都测试皮具{number}厂",
                "orgNature": 2,
                "orgAddr": "狮岭镇合成路1号",
                "orgAddrProvince": "440000",
                "orgAddrCity": "440100",
                "orgAddrCounty": "440114",
                "orgCrtType": 1,
                "orgCrtCode": credit_code(number),
                "orgCrtImgRid": 10 * number + 1,
                "orgDesc": "示例企业\n纯属虚构",
                "industryCategory": "C",
                "industrySpecific": "19",
                "website": "www.firm.example",
                "regAuthority": "",
                "regCapital": 1200,
                "establishDate": "2012-01-06",
                "periodValidity": "2032-01-05 00:00:00",
                "contactName": "张三",
                "contactCrtType": 1,
                "contactCrtNo": "440114200011091238",
                "contactEmail": "zhangsan@firm.example",
                "contactPhone": "13965757203",
                "legalName": "王五",
                "legalCrtType": "2",
                "legalCrtNo": "E00000001",
                "legalCrtFrontImgRid": 10 * number + 2,
                "legalCrtBackImgRid": str(10 * number + 3),
                "entPrefix": f"88.999.{6000 + number}",
            }
            | basic,
            "entRegisterManageInfo": {
                "entInfoSyses": [
                    local(1, ipPort="[127.0.0.1]:8080;[2001:db8::1]:443"),
                    {"sysType": 2, "deployMode": 2, "name": "某云"},
                    local(3),
                    local("4"),
                ],
                "servSysBuildType": 1,
                "servSysOperType": 1,
            },
            "entHostingAndIdentifyServeInfo": {
                "dataHostingOrg": "某托管单位",
                "entInfoSerIndustries": [
                    {
                        "industryCategory": "I",
                        "industrySpecific": "65",
                        "industryTrade": "651",
                        "industrySubclass": "6513",
                    }
                ],
                "extDomain": "id.firm.example",
                "extIpAddr": "192.0.2.1;2001:db8::2",
                "entInfoLicenses": [{"licenceType": 1, "licenceNo": "412341234123453453"}],
            },
        }
    )


def local(kind: int | str, **more: Any) -> dict[str, Any]:
    """A system in the firm's own rooms."""
    return {
        "sysType": kind,
        "deployMode": 1,
        "deployAddrProvince": "440000",
        "deployAddrCity": "440100",
        "deployAddrCounty": "440114",
        "deployAddr": "狮岭镇合成路1号",
    } | more
