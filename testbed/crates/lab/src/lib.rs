//! Apply and undo a plan: supervisor, ledger, drivers, services.
