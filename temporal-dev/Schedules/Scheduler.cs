using System.Collections.Concurrent;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;
using SnapshotFlow.TemporalDev.Visibility.Filter;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>All schedules of all namespaces. Each one lives in its own <see cref="ScheduleActor"/>; this class finds, begins and ends them.</summary>
internal sealed class Scheduler(VirtualClock clock, CommitQueue commits, SearchAttributeRegistry attributes, IActionTarget target, ILogger<Scheduler> logger)
    : IAsyncDisposable
{
    /// <summary>Most times that one request for matching times answers. Source: Temporal's scheduler, maxListMatchingTimesCount.</summary>
    private const int MaxMatchingTimes = 1000;

    private readonly ConcurrentDictionary<(string Namespace, string Id), ScheduleActor> schedules = new();

    /// <summary>Which schedule to tell when the workflow that began with this run ends.</summary>
    private readonly ConcurrentDictionary<string, ScheduleActor> watched = new(StringComparer.Ordinal);

    public static bool Owns(BlobChange blob) => blob.Kind == ScheduleActor.BlobKind;

    public static Fault NotFound(string id) => Fault.NotFound($"schedule not found for ID: {id}");

    /// <summary>Takes in a stored schedule. Call <see cref="Start"/> when the runs are loaded too.</summary>
    public void Load(BlobChange stored)
    {
        var record = ScheduleRecord.FromBytes(stored.Value!);
        schedules[(record.Namespace, record.Id)] = NewActor(record);
    }

    /// <summary>Lets the loaded schedules catch up: with actions that ended and with times that passed while the server was down.</summary>
    public void Start()
    {
        foreach (var schedule in schedules.Values)
        {
            schedule.Wake();
        }
    }

    /// <summary>Says that the workflow that began with this run has ended. Ignored when no schedule started it. Does not wait.</summary>
    public void ActionClosed(string firstRunId)
    {
        if (watched.TryRemove(firstRunId, out var schedule))
        {
            schedule.Wake();
        }
    }

    /// <exception cref="Fault">The schedule is malformed, or its id is taken.</exception>
    public async Task<long> CreateAsync(CreateScheduleRequest request, CancellationToken cancellationToken)
    {
        RequireId(request.ScheduleId);
        var schedule = Checked(request.Namespace, request.Schedule);
        Check(request.InitialPatch);
        var now = clock.GetUtcNow();
        var created = NewActor(new ScheduleRecord
        {
            Namespace = request.Namespace,
            Id = request.ScheduleId,
            Incarnation = Guid.NewGuid().ToString(),
            CreateRequestId = request.RequestId,
            Schedule = schedule,
            Memo = request.Memo,
            SearchAttributes = CheckedAttributes(request.Namespace, request.SearchAttributes),
            Info = new ScheduleInfo { CreateTime = Timestamp.FromDateTimeOffset(now) },
            ProcessedUntil = now,
        });
        var known = schedules.GetOrAdd((request.Namespace, request.ScheduleId), created);
        if (known == created)
        {
            await created.ChangeAsync((machine, _, time) => machine.Patch(request.InitialPatch ?? new SchedulePatch(), time), cancellationToken);
            return await RevisionAsync(created, cancellationToken);
        }

        await created.DisposeAsync();
        if (known.CreateRequestId != request.RequestId || request.RequestId.Length == 0)
        {
            throw new Fault(
                StatusCode.AlreadyExists,
                $"schedule with ID {request.ScheduleId} is already registered",
                new WorkflowExecutionAlreadyStartedFailure { StartRequestId = known.CreateRequestId });
        }

        // The first request may still be on its way to the store; a change, even of nothing, is answered only when all is durable.
        await known.ChangeAsync((_, _, _) => { }, cancellationToken);
        return await RevisionAsync(known, cancellationToken);
    }

    public Task<DescribeScheduleResponse> DescribeAsync(string @namespace, string id, CancellationToken cancellationToken) => Find(@namespace, id).ReadAsync(
        (machine, record, now) => new DescribeScheduleResponse
        {
            Schedule = record.Schedule.Clone(),
            Info = machine.Describe(now),
            Memo = record.Memo?.Clone(),
            SearchAttributes = record.SearchAttributes?.Clone(),
            ConflictToken = ConflictToken.Write(record.Revision),
        },
        cancellationToken);

    /// <exception cref="Fault">The schedule is malformed or unknown, or was changed since the conflict token was given out.</exception>
    public Task UpdateAsync(UpdateScheduleRequest request, CancellationToken cancellationToken)
    {
        var schedule = Checked(request.Namespace, request.Schedule);
        var set = request.SearchAttributes is null ? null : CheckedAttributes(request.Namespace, request.SearchAttributes);
        return Find(request.Namespace, request.ScheduleId).ChangeAsync(
            (machine, record, now) =>
            {
                if (!record.IsNew(request.RequestId))
                {
                    return;
                }

                if (!request.ConflictToken.IsEmpty && ConflictToken.Read(request.ConflictToken) != record.Revision)
                {
                    record.SeenRequests.Remove(request.RequestId);
                    throw Fault.FailedPrecondition("mismatched conflict token: the schedule was changed meanwhile; describe it again");
                }

                machine.Update(schedule, set, request.Memo, now);
            },
            cancellationToken);
    }

    /// <exception cref="Fault">The schedule is unknown or the patch malformed.</exception>
    public Task PatchAsync(PatchScheduleRequest request, CancellationToken cancellationToken)
    {
        Check(request.Patch ?? throw Fault.Invalid("Patch is not set on the request"));
        return Find(request.Namespace, request.ScheduleId).ChangeAsync(
            (machine, record, now) =>
            {
                if (record.IsNew(request.RequestId))
                {
                    machine.Patch(request.Patch, now);
                }
            },
            cancellationToken);
    }

    /// <exception cref="Fault">The schedule is unknown.</exception>
    public async Task DeleteAsync(string @namespace, string id, CancellationToken cancellationToken)
    {
        var schedule = Find(@namespace, id);
        await schedule.DeleteAsync(cancellationToken);
        schedules.TryRemove(KeyValuePair.Create((@namespace, id), schedule));
        await schedule.DisposeAsync();
    }

    public async Task DeleteNamespaceAsync(string @namespace, CancellationToken cancellationToken)
    {
        foreach (var key in schedules.Keys.Where(key => key.Namespace == @namespace).ToList())
        {
            await DeleteAsync(key.Namespace, key.Id, cancellationToken);
        }
    }

    /// <exception cref="InvalidQueryException">The query or the token cannot be understood.</exception>
    public ListPage<ScheduleListing> List(ListSchedulesRequest request) => ListPage<ScheduleListing>.Select(
        Listings(request.Namespace), Parse(request.Namespace, request.Query), request.Query, request.MaximumPageSize, request.NextPageToken);

    /// <exception cref="InvalidQueryException">The query cannot be understood.</exception>
    public long Count(CountSchedulesRequest request)
    {
        var query = Parse(request.Namespace, request.Query);
        return Listings(request.Namespace).LongCount(query.Matches);
    }

    /// <exception cref="Fault">The schedule is unknown or the range is missing.</exception>
    public Task<List<DateTimeOffset>> MatchingTimesAsync(ListScheduleMatchingTimesRequest request, CancellationToken cancellationToken)
    {
        var start = request.StartTime?.ToDateTimeOffset() ?? throw Fault.Invalid("StartTime is not set on the request");
        var end = request.EndTime?.ToDateTimeOffset() ?? throw Fault.Invalid("EndTime is not set on the request");
        return Find(request.Namespace, request.ScheduleId).ReadAsync(
            (machine, _, _) => machine.Times.Between(start, end, MaxMatchingTimes).Select(time => time.Actual).ToList(), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var schedule in schedules.Values)
        {
            await schedule.DisposeAsync();
        }
    }

    private IEnumerable<ScheduleListing> Listings(string @namespace) =>
        schedules.Where(entry => entry.Key.Namespace == @namespace).Select(entry => entry.Value.Listing).OfType<ScheduleListing>();

    private ListQuery Parse(string @namespace, string text)
    {
        var query = ListQuery.Parse(text, ScheduleListing.Kinds(attributes.Of(@namespace)));
        return query.GroupBy is null ? query : throw new InvalidQueryException("GROUP BY is not supported for schedules");
    }

    private static Task<long> RevisionAsync(ScheduleActor schedule, CancellationToken cancellationToken) =>
        schedule.ReadAsync((_, record, _) => record.Revision, cancellationToken);

    private ScheduleActor NewActor(ScheduleRecord record) => new(record, clock, commits, target, watched, logger);

    private ScheduleActor Find(string @namespace, string id)
    {
        RequireId(id);
        return schedules.TryGetValue((@namespace, id), out var schedule) ? schedule : throw NotFound(id);
    }

    private Schedule Checked(string @namespace, Schedule? given)
    {
        try
        {
            var schedule = SchedulePolicy.Normalise(given);
            schedule.Action.StartWorkflow.SearchAttributes = CheckedAttributes(@namespace, schedule.Action.StartWorkflow.SearchAttributes);
            return schedule;
        }
        catch (FormatException error)
        {
            throw Fault.Invalid($"invalid schedule: {error.Message}");
        }
    }

    private SearchAttributes? CheckedAttributes(string @namespace, SearchAttributes? given)
    {
        try
        {
            return given is null ? null : attributes.Of(@namespace).Check(given);
        }
        catch (SearchAttributeException error)
        {
            throw Fault.Invalid(error.Message);
        }
    }

    private static void Check(SchedulePatch? patch)
    {
        foreach (var backfill in patch?.BackfillRequest ?? [])
        {
            if (backfill.StartTime is null || backfill.EndTime is null)
            {
                throw Fault.Invalid("a backfill needs a start time and an end time");
            }
        }
    }

    private static void RequireId(string id)
    {
        if (id.Length == 0)
        {
            throw Fault.Invalid("ScheduleId is not set on request.");
        }
    }
}
