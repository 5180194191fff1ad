{{ config(materialized="incremental", incremental_strategy="append") }}
select count(*) as n, '{{ var("run", "first") }}' as run from {{ ref("staged_orders") }}
