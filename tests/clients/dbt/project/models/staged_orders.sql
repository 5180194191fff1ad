{{ config(materialized="view") }}
select id, customer, amount, cast(ordered_on as date) as ordered_on
from {{ ref("raw_orders") }}
