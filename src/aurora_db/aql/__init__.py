"""The language: text → plan. Pure; knows no SQL and no database.

Stages, in order of control flow: `tokens` (text → tokens with spans), `parser` (tokens →
`syntax`, what was typed), `resolve` (syntax + `catalog` → `plan`, what is meant). Errors with a
caret come from `parser` and `resolve` only.
"""
