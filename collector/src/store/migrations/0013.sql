CREATE INDEX finding_act_by_time ON finding_act (at);
