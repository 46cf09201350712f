-- Roles an auditor accepts (registry/rights.py). An account has one, so none has two of the three administrators'.
ALTER TABLE account DROP CONSTRAINT account_role_check;
ALTER TABLE account DROP CONSTRAINT account_check;
UPDATE account SET role = CASE role WHEN 'admin' THEN 'system_admin' ELSE 'enterprise_admin' END;
ALTER TABLE account ADD CONSTRAINT account_role_check CHECK (role IN (
    'system_admin', 'security_admin', 'audit_admin', 'verifier', 'reviewer', 'enterprise_admin', 'enterprise_user'));
-- Who belongs to an enterprise has a role of enterprises; who has one may still wait for its enterprise.
ALTER TABLE account ADD CONSTRAINT account_enterprise_check CHECK (
    enterprise_no IS NULL OR role IN ('enterprise_admin', 'enterprise_user'));
COMMENT ON COLUMN account.role IS '系统管理员, 安全管理员, 审计管理员, 核验员, 审核员, 企业管理员, 企业用户';
