select 1 as wrong
where (select sum(total) from {{ ref("customers") }}) <> (select sum(amount) from {{ ref("raw_orders") }})
