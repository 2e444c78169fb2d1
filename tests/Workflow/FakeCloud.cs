using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// One server with its guest, volumes, records and quota, kept in memory: all activities of the contracts as one stateful fake. Tests script what goes wrong
/// and look at what is there afterwards.
/// </summary>
public sealed class FakeCloud
{
    private readonly Lock gate = new();
    private readonly List<string> journal = [];
    private readonly Dictionary<string, Queue<Fault>> faults = [];
    private DateTimeOffset frozenAt;

    public ServerId Server { get; } = ServerId.New();

    public List<VolumeId> Volumes { get; } = [VolumeId.New(), VolumeId.New(), VolumeId.New()];

    public bool Running { get; init; } = true;

    public bool RequireQuiesce { get; init; }

    /// <summary>What the server's image says about the freeze deadline, and what the last freeze was asked for.</summary>
    public TimeSpan? ServerDeadline { get; init; }

    public TimeSpan? AskedDeadline { get; private set; }

    public string? AgentAddress { get; init; } = "qga:unix:/run/guest.sock";

    /// <summary>Where the server and its volumes are recorded to be.</summary>
    public string Host { get; init; } = "host-1";

    public string Backend { get; init; } = "host-1@file";

    /// <summary>How far the compute host's clock is from the truth.</summary>
    public TimeSpan HostClockError { get; init; }

    /// <summary>What a bug has made of what was worked out.</summary>
    public Func<PreparedImage, PreparedImage> Damage { get; init; } = p => p;

    /// <summary>Whether the volume worker gives a sign of life while a driver cuts.</summary>
    public bool Heartbeats { get; init; } = true;

    public GuestAnswer Guest { get; init; } = new(true, null);

    /// <summary>Where the guest is; it is prepared as if it were on host-1.</summary>
    public ServerLocation Location { get; set; } = new("host-1", "qga:unix:/run/guest.sock");

    /// <summary>Whether the back end fixes a volume at one instant.</summary>
    public bool InstantCuts { get; init; } = true;

    /// <summary>Whether the back end cuts several volumes at one instant.</summary>
    public GroupCut GroupCut { get; init; }

    /// <summary>What the thaw will claim about itself.</summary>
    public Func<UnquiesceResult, UnquiesceResult> ThawTruth { get; set; } = r => r;

    public string? TaskState { get; private set; }

    public bool Frozen { get; private set; }

    public int Freezes { get; private set; }

    public HashSet<SnapshotId> Snapshots { get; } = [];

    /// <summary>The request whose run has opened its row.</summary>
    public CreateImageInput? Opened { get; private set; }

    public HashSet<ImageId> Reserved { get; } = [];

    public HashSet<ImageId> Committed { get; } = [];

    public string? ImageStatus { get; private set; }

    public CloseRunInput? Closed { get; private set; }

    public CreateImageRecordInput? Recorded { get; private set; }

    /// <summary>Every activity that began, in order.</summary>
    public IReadOnlyList<string> Journal
    {
        get
        {
            lock (gate)
            {
                return [.. journal];
            }
        }
    }

    /// <summary>Scripts what happens to the next calls of an activity, one fault a call; calls beyond them succeed.</summary>
    public void Script(string activity, params Fault[] script)
    {
        lock (gate)
        {
            faults[activity] = new(script);
        }
    }

    /// <summary>Nothing of a run is left: what all-or-nothing means.</summary>
    public void AssertNothingLeft()
    {
        Assert.False(Frozen, "the guest is frozen");
        Assert.Empty(Snapshots);
        Assert.Empty(Reserved);
        Assert.Empty(Committed);
        Assert.Null(TaskState);
        Assert.Null(ImageStatus);
    }

    public CreateImageInput Request(QuiesceMode quiesce = QuiesceMode.Try, TimeSpan? deadline = null, ExpiryPolicy expiry = ExpiryPolicy.Downgrade) =>
        new(ImageId.New(), Server, "nightly", new Dictionary<string, string>(), new("project", "user", ["member"]), $"req-{Guid.NewGuid()}", quiesce, deadline, expiry);

    /// <summary>Runs an activity's effect under the script.</summary>
    public async Task<T> DoAsync<T>(string activity, Func<T> effect)
    {
        Fault? fault;
        lock (gate)
        {
            journal.Add(activity);
            fault = faults.TryGetValue(activity, out var script) && script.Count > 0 ? script.Dequeue() : null;
        }

        if (fault is not null)
        {
            await fault.Before();
        }

        T result;
        lock (gate)
        {
            result = effect();
        }

        if (fault is not null)
        {
            await fault.After();
        }

        return result;
    }

    public PreparedImage Prepare(CreateImageInput request, bool take)
    {
        if (take && TaskState is not null && TaskState != request.Image.ToString())
        {
            throw Fault.Failure(ErrorKind.StaleStatus, $"Cannot 'createImage' instance {Server} while it is in task_state image_snapshot");
        }

        TaskState = take ? request.Image.ToString() : TaskState;
        Opened = take ? request : Opened;
        var volumes = Volumes.Select((v, i) => new VolumeToCut(v, DeterministicId.Snapshot(request.Image, v), "project", Backend, $"/dev/vd{(char)('a' + i)}", 1, null, i == 0)).ToList();
        return Damage(new(
            new(Running, Host, AgentAddress, RequireQuiesce, "project", ServerDeadline),
            new(request.Name, "project", "private", null, 0, 0, new Dictionary<string, string>(), "/dev/vda", [], volumes)));
    }

    public void Release(ImageId image) => TaskState = TaskState == image.ToString() ? null : TaskState;

    public void Reserve(ImageId image) => Reserved.Add(image);

    public void ReleaseQuota(ImageId image) => Reserved.Remove(image);

    public void WriteRecords() => ImageStatus = "queued";

    public void RemoveRecords(ImageId image)
    {
        ImageStatus = null;
        Committed.Remove(image);
    }

    public QuiesceResult Freeze(TimeSpan deadline)
    {
        Frozen = true;
        Freezes++;
        AskedDeadline = deadline;
        var now = TimeProvider.System.GetUtcNow() + HostClockError;
        frozenAt = now;
        return new(now, now + deadline);
    }

    public UnquiesceResult Thaw(UnquiesceInput input)
    {
        if (ActivityExecutionContext.Current.Info.TaskQueue != Names.ComputeQueue(Location.Host!) || input.AgentAddress != Location.AgentAddress)
        {
            return input.MovedTo is null
                ? throw Fault.Failure(ErrorKind.BackendUnavailable, $"the guest is not on {ActivityExecutionContext.Current.Info.TaskQueue}")
                : new(false, null, TimeProvider.System.GetUtcNow(), LeaseExpired: true, null);
        }

        var now = TimeProvider.System.GetUtcNow();
        var was = Frozen;
        Frozen = false;
        return ThawTruth(new(was, was ? frozenAt : null, now, LeaseExpired: false, null));
    }

    public VolumeCut Cut(VolumeSnapshotInput input)
    {
        Snapshots.Add(input.Snapshot);
        var now = TimeProvider.System.GetUtcNow();
        return new(input.Volume, input.Snapshot, now, now, now, 1 << 30, InstantCuts);
    }

    public IReadOnlyList<VolumeCut> CutGroup(IReadOnlyList<VolumeSnapshotInput> members)
    {
        var now = TimeProvider.System.GetUtcNow();
        return [.. members.Select(m => Cut(m) with { CutAt = now, InGroup = true })];
    }

    /// <summary>The volume that a snapshot of the run was cut of; a foreign snapshot is of a foreign volume.</summary>
    public VolumeId VolumeOf(SnapshotId snapshot) =>
        Volumes.Where(v => Opened is { } run && DeterministicId.Snapshot(run.Image, v) == snapshot).DefaultIfEmpty(VolumeId.New()).First();

    public void Delete(SnapshotId snapshot) => Snapshots.Remove(snapshot);

    public void Complete(ImageId image)
    {
        Reserved.Remove(image);
        Committed.Add(image);
    }

    public void Record(CreateImageRecordInput input)
    {
        ImageStatus = "active";
        TaskState = null;
        Recorded = input;
    }

    public void Close(CloseRunInput input) => Closed = input;
}

/// <summary>What happens to one call of an activity, before and after its effect.</summary>
public sealed class Fault
{
    private readonly TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Func<Task> Before { get; private init; } = () => Task.CompletedTask;

    public Func<Task> After { get; private init; } = () => Task.CompletedTask;

    /// <summary>Completes when a held call has been reached.</summary>
    public Task Reached => reached.Task;

    public static ApplicationFailureException Failure(ErrorKind kind, string message) => new(message, errorType: kind.ToString(), nonRetryable: !kind.IsRetryable());

    /// <summary>The call fails and has no effect.</summary>
    public static Fault Fails(ErrorKind kind = ErrorKind.BackendRefused, string message = "no") => new() { Before = () => throw Failure(kind, message) };

    /// <summary>The call has its effect, and the caller is told that it failed.</summary>
    public static Fault DoneButFails(ErrorKind kind = ErrorKind.BackendRefused) => new() { After = () => throw Failure(kind, "done, but nobody knows") };

    /// <summary>The call waits, before its effect, until it is let go or cancelled.</summary>
    public static Fault Holds()
    {
        Fault? fault = null;
        fault = new Fault
        {
            Before = async () =>
            {
                fault!.reached.SetResult();
                await fault.released.Task.WaitAsync(ActivityExecutionContext.Current.CancellationToken);
            },
        };
        return fault;
    }

    /// <summary>The call has its effect, and then waits until it is let go or cancelled.</summary>
    public static Fault DoneThenHolds()
    {
        Fault? fault = null;
        fault = new Fault
        {
            After = async () =>
            {
                fault!.reached.SetResult();
                await fault.released.Task.WaitAsync(ActivityExecutionContext.Current.CancellationToken);
            },
        };
        return fault;
    }

    /// <summary>The call waits, before its effect, until it is let go; it does not listen to cancellation.</summary>
    /// <param name="thenFails">How it fails once it is let go; null for not at all.</param>
    public static Fault HoldsDeaf(ErrorKind? thenFails = null)
    {
        Fault? fault = null;
        fault = new Fault
        {
            Before = async () =>
            {
                fault!.reached.SetResult();
                await fault.released.Task;
                if (thenFails is { } kind)
                {
                    throw Failure(kind, "no");
                }
            },
        };
        return fault;
    }

    /// <summary>Lets a held call go on.</summary>
    public void Release() => released.TrySetResult();
}
