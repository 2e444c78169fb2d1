using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>
/// Runs: one row per image. The row is also a door: every forward step passes it, every undo closes it for good, so that a step whose answer was given up
/// long ago cannot do its work after the undo. Run and request are named together, because a refused run may be followed by another for the same image id.
/// </summary>
public sealed class RunStore(Database database)
{
    private const string Columns = """
        image_id, server_id, project_id, user_id, request_id, global_request_id, name, status, step, quiesce, reason_kind, reason_message, evidence::text AS evidence,
        steps::text AS steps, leftovers::text AS leftovers, started_at, ended_at
        """;

    /// <summary>A run as the caller may see it: asked for by the caller's project, or any for an administrator. Null when there is none, or none to be seen.</summary>
    public async Task<RunRecord?> FindVisibleAsync(ImageId image, Caller caller, CancellationToken cancellationToken) =>
        await database.ReadAsync(s => FindAsync(s, image), cancellationToken) is { } run && (caller.IsAdmin || run.ProjectId == caller.ProjectId) ? run : null;

    /// <summary>A run whoever asks. Null when there is none.</summary>
    public async Task<RunRecord?> FindAsync(Session session, ImageId image)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM runs
            WHERE image_id = @Image
            """;
        return (await session.SingleOrDefaultAsync<RunRow>(Sql, new { Image = image }))?.ToModel();
    }

    /// <summary>Runs, newest first.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="filter">Which of them.</param>
    /// <param name="page">Which part. An unknown marker is <see cref="ErrorKind.InvalidRequest"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<RunRecord>> ListAsync(string? projectId, RunFilter filter, Page page, CancellationToken cancellationToken)
    {
        const string Marker = """
            SELECT started_at FROM runs WHERE image_id = @Marker AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        const string Sql = $"""
            SELECT {Columns}
            FROM runs
            WHERE (@ProjectId::text IS NULL OR project_id = @ProjectId)
              AND (@Server::uuid IS NULL OR server_id = @Server)
              AND (@Status::text IS NULL OR status = @Status)
              AND (@Ended::boolean IS NULL OR (ended_at IS NOT NULL) = @Ended)
              AND (@After::timestamptz IS NULL OR (started_at, image_id) < (@After, @Marker::uuid))
            ORDER BY started_at DESC, image_id DESC
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<RunRecord>>(
            async s =>
            {
                var after = await page.AfterAsync(s, Marker, new { page.Marker, ProjectId = projectId }, ErrorKind.InvalidRequest, "run");
                var args = new
                {
                    ProjectId = projectId,
                    Server = filter.Server?.Value,
                    Status = filter.Status?.ToText(),
                    filter.Ended,
                    After = after,
                    page.Marker,
                    page.Limit,
                };
                return [.. (await s.ListAsync<RunRow>(Sql, args)).Select(r => r.ToModel())];
            },
            cancellationToken);
    }

    /// <summary>How many runs there are of each kind that an operator looks for.</summary>
    /// <param name="projectId">Whose; null for every project's.</param>
    /// <param name="since">Runs that ended are counted if they began after this.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<RunTallies> TallyAsync(string? projectId, DateTimeOffset since, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT
              (SELECT count(*) FROM runs WHERE status = 'running' AND (@ProjectId::text IS NULL OR project_id = @ProjectId)) AS running,
              (SELECT count(*) FROM runs
               WHERE status = 'compensation_failed' AND leftovers <> '[]' AND (@ProjectId::text IS NULL OR project_id = @ProjectId)) AS with_leftovers,
              count(*) FILTER (WHERE status = 'completed') AS completed,
              count(*) FILTER (WHERE status IN ('failed', 'compensation_failed')) AS failed
            FROM runs
            WHERE started_at > @Since AND (@ProjectId::text IS NULL OR project_id = @ProjectId)
            """;
        return (await database.ReadAsync(s => s.SingleOrDefaultAsync<RunTallies>(Sql, new { ProjectId = projectId, Since = since }), cancellationToken))!;
    }

    /// <summary>
    /// Opens the row of a run, again after a refused one, and holds it until the transaction ends; nothing happens when this run has it open.
    /// False when the image id belongs to another run, or to one that is over or being undone.
    /// </summary>
    public async Task<bool> OpenAsync(Session session, RunRecord run)
    {
        // Only a refused run leaves nothing at all behind, and only its image id may be used again, by another request.
        const string Sql = """
            INSERT INTO runs (image_id, server_id, project_id, user_id, request_id, global_request_id, name, status, step, quiesce, started_at)
            VALUES (@ImageId, @ServerId, @ProjectId, @UserId, @RequestId, @GlobalRequestId, @Name, 'running', @Step, @Quiesce, @StartedAt)
            ON CONFLICT (image_id) DO UPDATE SET
                server_id = excluded.server_id, user_id = excluded.user_id, request_id = excluded.request_id,
                global_request_id = excluded.global_request_id, name = excluded.name, status = 'running',
                step = excluded.step, quiesce = excluded.quiesce, reason_kind = NULL, reason_message = NULL, evidence = NULL, steps = '[]', leftovers = '[]',
                started_at = CASE WHEN runs.request_id = excluded.request_id THEN runs.started_at ELSE excluded.started_at END,
                ended_at = NULL, undo_started_at = NULL
            WHERE runs.project_id = excluded.project_id
              AND ((runs.request_id = excluded.request_id AND runs.status = 'running' AND runs.undo_started_at IS NULL)
                   OR (runs.request_id <> excluded.request_id AND runs.status = 'refused'))
            """;
        return await session.ExecuteAsync(Sql, Args(run)) == 1;
    }

    /// <summary>Notes that a run has come to a step, and holds the row until the transaction ends. False when the run is over or being undone.</summary>
    public async Task<bool> AdvanceAsync(Session session, ImageId image, string requestId, Step step)
    {
        // A step that comes after its undo loses here.
        const string Sql = """
            UPDATE runs SET step = @Step
            WHERE image_id = @Image AND request_id = @RequestId AND status = 'running' AND undo_started_at IS NULL
            """;
        return await session.ExecuteAsync(Sql, new { Image = image, RequestId = requestId, Step = step.ToText() }) == 1;
    }

    /// <summary>
    /// Closes the run to every forward step, also to one that comes later, and holds the row until the transaction ends. Writes a row, <c>refused</c>, for a
    /// run that never got one; one that had completed (and whose answer was lost) is running again until it is closed otherwise. False when the image id
    /// belongs to another run by now: then there is nothing to undo.
    /// </summary>
    public async Task<bool> BeginUndoAsync(Session session, RunRecord run)
    {
        const string Sql = """
            INSERT INTO runs (image_id, server_id, project_id, user_id, request_id, global_request_id, name, status, step, quiesce, started_at, ended_at, undo_started_at)
            VALUES (@ImageId, @ServerId, @ProjectId, @UserId, @RequestId, @GlobalRequestId, @Name, 'refused', @Step, @Quiesce, @StartedAt, @StartedAt, @StartedAt)
            ON CONFLICT (image_id) DO UPDATE SET
                undo_started_at = coalesce(runs.undo_started_at, excluded.undo_started_at),
                status = CASE WHEN runs.status = 'completed' THEN 'running' ELSE runs.status END,
                ended_at = CASE WHEN runs.status = 'completed' THEN NULL ELSE runs.ended_at END
            WHERE runs.request_id = excluded.request_id
            """;
        return await session.ExecuteAsync(Sql, Args(run)) == 1;
    }

    /// <summary>Records how a run ended. False when there is no row of this run; recording it again changes nothing but what is given.</summary>
    public async Task<bool> CloseAsync(
        Session session,
        ImageId image,
        string requestId,
        RunStatus status,
        Refusal? reason,
        Evidence? evidence,
        IReadOnlyList<RunStep> steps,
        IReadOnlyList<Leftover> leftovers,
        DateTimeOffset now)
    {
        const string Sql = """
            UPDATE runs
            SET status = @Status, step = coalesce(@Step, step), reason_kind = @ReasonKind, reason_message = @ReasonMessage, evidence = @Evidence::jsonb,
                steps = @Steps::jsonb, leftovers = @Leftovers::jsonb,
                ended_at = CASE WHEN status = @Status THEN coalesce(ended_at, @Now) ELSE @Now END
            WHERE image_id = @Image AND request_id = @RequestId
            """;
        return await session.ExecuteAsync(Sql, new
        {
            Image = image,
            RequestId = requestId,
            Status = status.ToText(),
            Step = steps.Count == 0 ? null : steps[^1].Step.ToText(),
            ReasonKind = reason?.Kind.ToText(),
            ReasonMessage = reason?.Message,
            Evidence = evidence is null ? null : JsonSerializer.Serialize(evidence),
            Steps = JsonSerializer.Serialize(steps),
            Leftovers = JsonSerializer.Serialize(leftovers),
            Now = now,
        }) == 1;
    }

    private static object Args(RunRecord run) => new
    {
        run.ImageId,
        run.ServerId,
        run.ProjectId,
        run.UserId,
        run.RequestId,
        run.GlobalRequestId,
        run.Name,
        Step = run.Step.ToText(),
        Quiesce = run.Quiesce.ToText(),
        run.StartedAt,
    };

    private sealed record RunRow
    {
        public ImageId ImageId { get; init; }

        public ServerId ServerId { get; init; }

        public string ProjectId { get; init; } = "";

        public string UserId { get; init; } = "";

        public string RequestId { get; init; } = "";

        public string? GlobalRequestId { get; init; }

        public string Name { get; init; } = "";

        public string Status { get; init; } = "";

        public string Step { get; init; } = "";

        public string Quiesce { get; init; } = "";

        public string? ReasonKind { get; init; }

        public string? ReasonMessage { get; init; }

        public string? Evidence { get; init; }

        public string Steps { get; init; } = "[]";

        public string Leftovers { get; init; } = "[]";

        public DateTimeOffset StartedAt { get; init; }

        public DateTimeOffset? EndedAt { get; init; }

        public RunRecord ToModel() => new()
        {
            ImageId = ImageId,
            ServerId = ServerId,
            ProjectId = ProjectId,
            UserId = UserId,
            RequestId = RequestId,
            GlobalRequestId = GlobalRequestId,
            Name = Name,
            Status = EnumText.Parse<RunStatus>(Status),
            Step = EnumText.Parse<Step>(Step),
            Quiesce = EnumText.Parse<QuiesceMode>(Quiesce),
            Reason = ReasonKind is null ? null : new Refusal(EnumText.Parse<ErrorKind>(ReasonKind), ReasonMessage ?? ""),
            Evidence = Evidence is null ? null : JsonSerializer.Deserialize<Evidence>(Evidence),
            Steps = JsonSerializer.Deserialize<List<RunStep>>(Steps)!,
            Leftovers = JsonSerializer.Deserialize<List<Leftover>>(Leftovers)!,
            StartedAt = StartedAt,
            EndedAt = EndedAt,
        };
    }
}

/// <summary>Which runs a list is asked for; null asks for all.</summary>
/// <param name="Server">Of this server.</param>
/// <param name="Status">In this status.</param>
/// <param name="Ended">True: that have ended. False: that have not.</param>
public sealed record RunFilter(ServerId? Server = null, RunStatus? Status = null, bool? Ended = null);

/// <summary>How many runs there are.</summary>
public sealed record RunTallies
{
    /// <summary>That have not ended.</summary>
    public long Running { get; init; }

    /// <summary>That left something behind, whenever they ran.</summary>
    public long WithLeftovers { get; init; }

    /// <summary>That completed lately.</summary>
    public long Completed { get; init; }

    /// <summary>That failed lately.</summary>
    public long Failed { get; init; }
}
