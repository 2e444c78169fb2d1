using System.Net;
using System.Text.Json;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Requests;
using SnapshotFlow.Tests.Faults.World;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>What the API said to the request, in the end.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Body">Its body.</param>
public sealed record FinalAnswer(HttpStatusCode Status, string Body);

/// <summary>One case on one server: asks as a patient client does, holds the run at its boundary, and follows it to its end.</summary>
public sealed class RunningCase
{
    /// <summary>Short enough that stopped processes pass it, long enough for every run of a batch to get to its boundary.</summary>
    public static readonly TimeSpan FreezeDeadline = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan BetweenAttempts = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Slowness = TimeSpan.FromSeconds(3);

    private readonly FaultStack world;
    private readonly Scenario scenario;
    private readonly TaskCompletionSource stagePassed = New(), staged = New(), reached = New(), released = New(), ended = New();
    private readonly TimeSpan patience;
    private string? held, tripped;
    private int holding;
    private FinalAnswer? answer;

    /// <summary>Prepares a case; nothing happens yet.</summary>
    /// <param name="world">The stack.</param>
    /// <param name="case">The case.</param>
    /// <param name="server">A server that nothing else happens to.</param>
    /// <param name="stopFor">How long its faults may last.</param>
    public RunningCase(FaultStack world, FaultCase @case, FaultServer server, TimeSpan stopFor)
    {
        this.world = world;
        patience = stopFor + TimeSpan.FromMinutes(6);
        Case = @case;
        Server = server;
        scenario = Scenario.Named(@case.Scenario);
        Request = Request.For(scenario, world, server, $"{@case.Name}-{Guid.NewGuid():N}");
        Since = FreezeRecorder.Now;
    }

    /// <summary>The case.</summary>
    public FaultCase Case { get; }

    /// <summary>Its server.</summary>
    public FaultServer Server { get; }

    /// <summary>What it asks for.</summary>
    public Request Request { get; }

    /// <summary>When it began, on the recorder's clock.</summary>
    public TimeSpan Since { get; }

    /// <summary>Completes when the run waits before the freeze for the others, or need not.</summary>
    public Task Staged => scenario.MayBeFrozenAt(Case.Boundary) ? Task.WhenAny(staged.Task, reached.Task, ended.Task) : Reached;

    /// <summary>Completes when the run is at its boundary, or over.</summary>
    public Task Reached => Task.WhenAny(reached.Task, ended.Task);

    /// <summary>Whether it got to its boundary.</summary>
    public bool WasReached => reached.Task.IsCompleted;

    /// <summary>Whether it is held there right now.</summary>
    public bool IsHeld => Volatile.Read(ref holding) > 0;

    /// <summary>Why nobody saw the run's end; null when somebody did.</summary>
    public string? Unended { get; private set; }

    /// <summary>When the run was over, on the recorder's clock.</summary>
    public TimeSpan EndedAt { get; private set; }

    /// <summary>When it got to its boundary, on the recorder's clock.</summary>
    public TimeSpan ReachedAt { get; private set; }

    /// <summary>What the client was told in the end.</summary>
    public FinalAnswer Answer => answer ?? throw new InvalidOperationException($"{Case} has no answer yet");

    /// <summary>Lets it go on from before the freeze.</summary>
    public void PassStage() => stagePassed.TrySetResult();

    /// <summary>Lets it go on from its boundary.</summary>
    public void Release()
    {
        stagePassed.TrySetResult();
        released.TrySetResult();
    }

    /// <summary>Makes what the case is about, while nothing goes wrong yet.</summary>
    public async Task PrepareAsync(CancellationToken ct)
    {
        try
        {
            await Request.PrepareAsync(ct);
        }
        catch (StackException e)
        {
            Unended = $"it did not begin: {e.Message}";
            ended.TrySetResult();
        }
    }

    /// <summary>Asks until there is an answer that stays, the same every time, and waits for the end of the run.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        if (Unended is not null)
        {
            return;
        }

        try
        {
            world.Failpoints.Decide(Request.Workflow, DecideAsync);
            await InsistAsync($"an answer to {Case}", patience, async () =>
            {
                // "Not now" is an answer that stays only when it was given after the end.
                var isOver = await HasEndedAsync(ct);
                answer = await TryAskAsync(ct);
                return answer is not null && ((int)answer.Status < 500 || isOver);
            }, ct);
            await InsistAsync($"the end of the run of {Case}", patience, () => HasEndedAsync(ct), ct);
        }
        catch (StackException e)
        {
            Unended = e.Message;
        }
        finally
        {
            EndedAt = FreezeRecorder.Now;
            ended.TrySetResult();
            world.Failpoints.Forget(Request.Workflow);
        }
    }

    /// <summary>Asks the same again.</summary>
    public async Task<FinalAnswer> AskAgainAsync(CancellationToken ct)
    {
        FinalAnswer? again = null;
        await InsistAsync($"a second answer to {Case}", TimeSpan.FromMinutes(2), async () =>
        {
            again = await TryAskAsync(ct);
            return again is not null && (Request.Agrees(answer!.Status, again.Status) || (int)again.Status < 500);
        }, ct);
        // Where the same request may begin anew, what it began is to end, too.
        await InsistAsync($"the end of what a second request began for {Case}", patience, () => HasEndedAsync(ct), ct);
        return again!;
    }

    /// <summary>The run's history.</summary>
    public Task<Temporalio.Common.WorkflowHistory> HistoryAsync(CancellationToken ct) =>
        world.Stack.Temporal.Client.GetWorkflowHandle(Request.Workflow).FetchHistoryAsync(new() { Rpc = new() { CancellationToken = ct } });

    private async Task<FinalAnswer?> TryAskAsync(CancellationToken ct)
    {
        try
        {
            var said = await Request.AskAsync(ct);
            return new(said.Status, said.Body.ValueKind is JsonValueKind.Undefined ? "" : said.Body.GetRawText());
        }
        catch (StackException)
        {
            // No answer: the API, or what it needs, is away. A client with a key asks again.
            return null;
        }
    }

    private async Task<bool> HasEndedAsync(CancellationToken ct)
    {
        try
        {
            var found = await world.Stack.Temporal.Client.GetWorkflowHandle(Request.Workflow).DescribeAsync(new() { Rpc = new() { CancellationToken = ct, Timeout = TimeSpan.FromSeconds(5) } });
            return found.Status is not WorkflowExecutionStatus.Running;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound && answer is { } said && (int)said.Status is >= 400 and < 500)
        {
            throw new StackException($"the request was refused and began nothing: {(int)said.Status} {said.Body}", e);
        }
        catch (RpcException)
        {
            // Not started yet, or Temporal is away.
            return false;
        }
    }

    /// <summary>As often as a patient client would.</summary>
    private static async Task InsistAsync(string what, TimeSpan patience, Func<Task<bool>> attempt, CancellationToken ct)
    {
        var until = FreezeRecorder.Now + patience;
        using var timer = new PeriodicTimer(BetweenAttempts);
        while (!await attempt())
        {
            if (FreezeRecorder.Now > until)
            {
                throw new StackException($"waited {patience.TotalSeconds:0} s in vain for {what}");
            }

            await timer.WaitForNextTickAsync(ct);
        }
    }

    private async Task<HitAnswer> DecideAsync(Hit hit, CancellationToken gone)
    {
        if (Trips(hit))
        {
            return new("Fail", "BackendRefused");
        }

        if (hit.Boundary == Case.Boundary && Interlocked.CompareExchange(ref held, hit.Activity, null) is var other && (other is null || other == hit.Activity))
        {
            ReachedAt = other is null ? FreezeRecorder.Now : ReachedAt;
            reached.TrySetResult();
            // What happens to a step happens to its first attempt there; processes are waited for, however many attempts that takes.
            return other is null || Case.HitsProcesses || Case.Faults is [{ Kind: FaultKind.Refuse }] ? await HoldAsync(hit, gone) : HitAnswer.Continue;
        }

        if (hit.Boundary == Scenario.Stage && scenario.MayBeFrozenAt(Case.Boundary) && Case.HitsProcesses)
        {
            staged.TrySetResult();
            await stagePassed.Task.WaitAsync(gone);
        }

        return HitAnswer.Continue;
    }

    /// <summary>Where the scenario trips, it is one activity, however often that is tried.</summary>
    private bool Trips(Hit hit) => hit.Phase is Phase.Before && hit.Point == scenario.Trips && (Interlocked.CompareExchange(ref tripped, hit.Activity, null) ?? hit.Activity) == hit.Activity;

    private async Task<HitAnswer> HoldAsync(Hit hit, CancellationToken gone)
    {
        switch (Case.Faults[0].Kind)
        {
            case FaultKind.Error or FaultKind.Lose:
                return new("Fail");
            case FaultKind.Refuse:
                return new("Fail", "BackendRefused");
            case FaultKind.Hang:
                return new("Hang");
            case FaultKind.Twice:
                return new("Repeat");
            case FaultKind.Slow:
                await Task.Delay(Slowness, gone);
                return HitAnswer.Continue;
            case FaultKind.Cancel:
                await world.Stack.Temporal.Client.GetWorkflowHandle(hit.Workflow).CancelAsync(new() { Rpc = new() { CancellationToken = gone } });
                return HitAnswer.Continue;
            default:
                Interlocked.Increment(ref holding);
                try
                {
                    await released.Task.WaitAsync(gone);
                }
                finally
                {
                    Interlocked.Decrement(ref holding);
                }

                return HitAnswer.Continue;
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
