{{ config(materialized="incremental", incremental_strategy="merge", unique_key="id", on_schema_change="append_new_columns") }}
select id, customer, amount, '{{ var("run", "first") }}' as run
{%- if var("wide", false) %}, upper(customer) as shouted{% endif %}
from {{ ref("staged_orders") }}
{% if is_incremental() %}
where id > 2
{% endif %}
