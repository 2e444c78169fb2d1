using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.World;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>What the API said to the request, in the end.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Body">Its body.</param>
public sealed record FinalAnswer(HttpStatusCode Status, string Body);

/// <summary>One case on one server: asks for the image as a patient client does, holds the run at its boundary, and follows it to its end.</summary>
public sealed class RunningCase
{
    /// <summary>Short enough that stopped processes pass it, long enough for every run of a batch to get to its boundary.</summary>
    public static readonly TimeSpan FreezeDeadline = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan Slowness = TimeSpan.FromSeconds(3);

    private readonly FaultStack world;
    private readonly Scenario scenario;
    private readonly TaskCompletionSource stagePassed = New(), staged = New(), reached = New(), released = New(), ended = New();
    private readonly string key;
    private string? held, tripped;
    private volatile bool holding;
    private FinalAnswer? answer;

    /// <summary>Prepares a case; nothing happens yet.</summary>
    public RunningCase(FaultStack world, FaultCase @case, FaultServer server)
    {
        this.world = world;
        Case = @case;
        Server = server;
        scenario = Scenario.Named(@case.Scenario);
        key = $"{@case.Name}-{Guid.NewGuid():N}";
        Image = DeterministicId.Image(server.Project, key);
        Workflow = Names.CreateImageWorkflow(Image);
        Since = FreezeRecorder.Now;
        world.Failpoints.Decide(Workflow, DecideAsync);
    }

    /// <summary>The case.</summary>
    public FaultCase Case { get; }

    /// <summary>Its server.</summary>
    public FaultServer Server { get; }

    /// <summary>The image that is asked for.</summary>
    public ImageId Image { get; }

    /// <summary>The run's workflow id.</summary>
    public string Workflow { get; }

    /// <summary>When it began, on the recorder's clock.</summary>
    public TimeSpan Since { get; }

    /// <summary>Completes when the run waits before the freeze for the others, or need not.</summary>
    public Task Staged => scenario.MayBeFrozenAt(Case.Boundary) ? Task.WhenAny(staged.Task, reached.Task, ended.Task) : Reached;

    /// <summary>Completes when the run is at its boundary, or over.</summary>
    public Task Reached => Task.WhenAny(reached.Task, ended.Task);

    /// <summary>Whether it got to its boundary.</summary>
    public bool WasReached => reached.Task.IsCompleted;

    /// <summary>Whether it is held there right now.</summary>
    public bool IsHeld => holding;

    /// <summary>Why nobody saw the run's end; null when somebody did.</summary>
    public string? Unended { get; private set; }

    /// <summary>When the run was over, on the recorder's clock.</summary>
    public TimeSpan EndedAt { get; private set; }

    /// <summary>When it got to its boundary, on the recorder's clock.</summary>
    public TimeSpan ReachedAt { get; private set; }

    /// <summary>What the client was told in the end.</summary>
    public FinalAnswer Answer => answer ?? throw new InvalidOperationException($"{Case} has no answer yet");

    /// <summary>How the workflow ended.</summary>
    public WorkflowExecutionStatus Ended { get; private set; }

    /// <summary>Lets it go on from before the freeze.</summary>
    public void PassStage() => stagePassed.TrySetResult();

    /// <summary>Lets it go on from its boundary.</summary>
    public void Release()
    {
        stagePassed.TrySetResult();
        released.TrySetResult();
    }

    /// <summary>Asks for the image until there is an answer that stays, with the same key every time, and waits for the end of the run.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            await Wait.UntilAsync($"an answer to {Case}", TimeSpan.FromMinutes(5), async token =>
            {
                answer = await TryAskAsync(token);
                return answer is not null && ((int)answer.Status < 500 || await FindEndAsync(token) is not null);
            }, ct);
            await Wait.UntilAsync($"the end of the run of {Case}", TimeSpan.FromMinutes(10), async token =>
            {
                var end = await FindEndAsync(token);
                Ended = end ?? Ended;
                return end is not null;
            }, ct);
        }
        catch (StackException e)
        {
            Unended = e.Message;
        }
        finally
        {
            EndedAt = FreezeRecorder.Now;
            ended.TrySetResult();
            world.Failpoints.Forget(Workflow);
        }
    }

    /// <summary>Asks again with the same key and the same body.</summary>
    public async Task<FinalAnswer> AskAgainAsync(CancellationToken ct)
    {
        FinalAnswer? again = null;
        await Wait.UntilAsync($"a second answer to {Case}", TimeSpan.FromMinutes(2), async token =>
        {
            again = await TryAskAsync(token);
            return again is not null && (again.Status == answer!.Status || (int)again.Status < 500);
        }, ct);
        return again!;
    }

    /// <summary>The run's history.</summary>
    public Task<Temporalio.Common.WorkflowHistory> HistoryAsync(CancellationToken ct) =>
        world.Stack.Temporal.Client.GetWorkflowHandle(Workflow).FetchHistoryAsync(new() { Rpc = new() { CancellationToken = ct } });

    private async Task<FinalAnswer?> TryAskAsync(CancellationToken ct)
    {
        using var body = JsonContent.Create(new { server_id = Server.Guest.Id.ToString(), name = Case.Name, freeze_deadline = FreezeDeadline.TotalSeconds });
        try
        {
            var said = await Server.Owner.SendAsync(HttpMethod.Post, "/runs", body, ct, ("Idempotency-Key", key.Replace(' ', '-')));
            return new(said.Status, said.Body.ValueKind is JsonValueKind.Undefined ? "" : said.Body.GetRawText());
        }
        catch (StackException)
        {
            // No answer: the API, or what it needs, is away. A client with a key asks again.
            return null;
        }
    }

    private async Task<WorkflowExecutionStatus?> FindEndAsync(CancellationToken ct)
    {
        try
        {
            var found = await world.Stack.Temporal.Client.GetWorkflowHandle(Workflow).DescribeAsync(new() { Rpc = new() { CancellationToken = ct, Timeout = TimeSpan.FromSeconds(5) } });
            return found.Status is WorkflowExecutionStatus.Running ? null : found.Status;
        }
        catch (RpcException)
        {
            // Not started yet, or Temporal is away.
            return null;
        }
    }

    private async Task<HitAnswer> DecideAsync(Hit hit, CancellationToken gone)
    {
        if (scenario == Scenario.Undo && Trips(hit))
        {
            return new("Fail", "BackendRefused");
        }

        if (hit.Boundary == Case.Boundary && Interlocked.CompareExchange(ref held, hit.Activity, null) is null)
        {
            ReachedAt = FreezeRecorder.Now;
            reached.TrySetResult();
            return await HoldAsync(hit, gone);
        }

        if (hit.Boundary == Case.Boundary && hit.Activity == held && Case.Faults is [{ Kind: FaultKind.Refuse }])
        {
            return new("Fail", "BackendRefused");
        }

        if (hit.Boundary == Scenario.Stage && scenario.MayBeFrozenAt(Case.Boundary) && Case.HitsProcesses)
        {
            staged.TrySetResult();
            await stagePassed.Task.WaitAsync(gone);
        }

        return HitAnswer.Continue;
    }

    /// <summary>In the scenario of the undo, one volume cannot be cut, however often it is tried.</summary>
    private bool Trips(Hit hit) => hit is { Point: "CreateVolumeSnapshot", Phase: Phase.Before } && (Interlocked.CompareExchange(ref tripped, hit.Activity, null) ?? hit.Activity) == hit.Activity;

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
                holding = true;
                try
                {
                    await released.Task.WaitAsync(gone);
                }
                finally
                {
                    holding = false;
                }

                return HitAnswer.Continue;
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
