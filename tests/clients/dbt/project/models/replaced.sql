{{ config(materialized="incremental", incremental_strategy="insert_overwrite", partition_by=["customer"]) }}
select id, amount, customer from {{ ref("staged_orders") }}
