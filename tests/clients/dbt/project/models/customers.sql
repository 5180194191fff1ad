{{ config(materialized="table", tblproperties={"team": "shop"}) }}
select customer, count(*) as orders, sum(amount) as total, max(ordered_on) as last_order
from {{ ref("staged_orders") }}
group by customer
