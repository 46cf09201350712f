"""The only SQL of the house (asyncpg). Rules live outside; so does everything about clients."""
