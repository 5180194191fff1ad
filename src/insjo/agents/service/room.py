"""The agents room as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.agents.service.actions import Actions
from insjo.agents.service.agents import Agents
from insjo.agents.service.assistant import Assistant
from insjo.agents.service.chat import Chat
from insjo.agents.service.conversations import Conversations
from insjo.agents.service.knowledge import Knowledge
from insjo.agents.service.running import Running

if TYPE_CHECKING:
    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads
    from insjo.retrieval.service.room import RetrievalRoom
    from insjo.sql.service.room import SqlRoom


class AgentsRoom:
    """All services of the agents room.

    Args:
        database: The metadata database.
        clock: Tells the time.
        threads: Where synchronous calls of asynchronous services run.
        access: Decides.
        catalog: What there is to ask about.
        jobs: What goes on in the background.
        sql: Runs statements.
        gateway: Reaches models.
        retrieval: Searches documents.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        threads: Threads,
        access: Access,
        catalog: CatalogRoom,
        jobs: Jobs,
        sql: SqlRoom,
        gateway: GatewayRoom,
        retrieval: RetrievalRoom,
    ) -> None:
        self.knowledge = Knowledge(access=access, catalog=catalog, sql=sql)
        running = Running(access=access, knowledge=self.knowledge, sql=sql, gateway=gateway, retrieval_room=retrieval, threads=threads)
        self.agents = Agents(database=database, clock=clock, access=access, gateway=gateway, threads=threads, running=running)
        self.conversations = Conversations(database=database, clock=clock, access=access)
        self.chat = Chat(
            conversations=self.conversations,
            access=access,
            gateway=gateway,
            retrieval=retrieval,
            agents=self.agents,
            parser=retrieval.parser,
            threads=threads,
            clock=clock,
        )
        self.actions = Actions(
            database=database,
            clock=clock,
            access=access,
            catalog=catalog,
            gateway=gateway,
            retrieval=retrieval,
            agents=self.agents,
        )
        self.assistant = Assistant(
            access=access,
            catalog=catalog,
            jobs=jobs,
            gateway=gateway,
            retrieval=retrieval,
            agents=self.agents,
            knowledge=self.knowledge,
            actions=self.actions,
            threads=threads,
        )

    def start(self) -> None:
        """Forget what went with deleted schemas."""
        self.agents.sweep()

    async def close(self) -> None:
        """Stop answers that run, and keep what came of them."""
        await self.chat.close()
