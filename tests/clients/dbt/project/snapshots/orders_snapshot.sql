{% snapshot orders_snapshot %}
{{ config(unique_key="id", strategy="check", check_cols=["amount"], target_schema=target.schema) }}
select * from {{ ref("raw_orders") }}
{% endsnapshot %}
