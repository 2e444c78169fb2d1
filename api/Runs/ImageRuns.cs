using System.Globalization;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Runs;

/// <summary>Starts, asks and cancels <see cref="CreateImageWorkflow"/>. Both ways to ask for an image end here, so they mean the same.</summary>
internal sealed partial class ImageRuns(ITemporalClient temporal, RunStore records, IOptions<RunOptions> options, ILogger<ImageRuns> logger)
{
    /// <summary>The API asks each run once whether it accepts, however often the request is repeated.</summary>
    private const string AcceptUpdateId = "accept";

    private const int LongestShown = 48;

    /// <summary>
    /// Returns when the run has accepted the request; a run that refuses is a fault with the run's reason. A second request for the same image joins the
    /// first run, also after that has ended. When nobody accepts in time the answer is 503: the run is withdrawn, unless <paramref name="repeatable"/> says
    /// that the caller can come back for it: also when Temporal has forgotten the run, whose record answers then.
    /// </summary>
    public async Task StartAsync(CreateImageInput input, bool repeatable, CancellationToken ct)
    {
        if (repeatable && await records.FindVisibleAsync(input.Image, input.Caller, ct) is { EndedAt: not null } over && over.Status is not RunStatus.Refused)
        {
            RequireAccepted(over);
            return;
        }

        Task<Acceptance> AskAsync(RpcOptions rpc, WorkflowIdReusePolicy reuse) => temporal.ExecuteUpdateWithStartWorkflowAsync(
            (CreateImageWorkflow run) => run.AcceptAsync(), new(Start(input, reuse)) { Id = AcceptUpdateId, Rpc = rpc });

        async Task<Acceptance> AskOrJoinAsync(RpcOptions rpc)
        {
            try
            {
                return await AskAsync(rpc, WorkflowIdReusePolicy.RejectDuplicate);
            }
            catch (WorkflowAlreadyStartedException)
            {
                return await temporal.AnswerOfAsync<Acceptance>(Names.CreateImageWorkflow(input.Image), AcceptUpdateId, rpc)
                    // It was ended from outside. What it has begun is undone first; where there is no record it has begun nothing.
                    ?? (await records.FindVisibleAsync(input.Image, input.Caller, ct) is null or { Status: RunStatus.Refused }
                        ? await AskAsync(rpc, WorkflowIdReusePolicy.AllowDuplicateFailedOnly)
                        : throw Fault.Unavailable($"The run for image {input.Image} was ended from outside before it answered, and will be undone: see GET /runs/{input.Image}. Ask with a new request."));
            }
        }

        var acceptance = await WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
        {
            try
            {
                return await AskOrJoinAsync(rpc);
            }
            catch (WorkflowUpdateFailedException e)
            {
                throw Fault.Unavailable($"The run for image {input.Image} ended before it accepted the request. Try again with a new request.", e);
            }
        });
        if (acceptance is null)
        {
            throw repeatable
                ? Fault.Unavailable($"No worker has answered for image {input.Image} yet. Repeat the request with the same Idempotency-Key to learn its fate.")
                : await WithdrawAsync(input.Image, ct);
        }

        if (acceptance.Refusal is { } refusal)
        {
            throw Fault.From(refusal);
        }
    }

    /// <summary>What <see cref="StartAsync"/> would do, without doing it.</summary>
    public async Task<ImagePlan> PlanAsync(CreateImageInput input, CancellationToken ct)
    {
        try
        {
            return await WithinAsync(options.Value.AcceptTimeout, ct, rpc => temporal.ExecuteWorkflowAsync(
                (PlanImageWorkflow plan) => plan.RunAsync(input),
                new($"plan-image/{input.Image}", Names.ControlQueue)
                {
                    // Nobody waits for it any longer.
                    RunTimeout = options.Value.AcceptTimeout,
                    TypedSearchAttributes = SearchAttributes.ForStart(input.Caller, input.Server, input.Image),
                    Rpc = rpc,
                })) ?? throw Fault.Unavailable("No worker has answered in time. Nothing was done. Try again later.");
        }
        catch (WorkflowFailedException e)
        {
            throw Fault.Unavailable("The plan could not be worked out. Nothing was done. Try again later.", e);
        }
    }

    /// <summary>Where a run stands, from the run itself; null when it does not answer in time or is not known to Temporal any more.</summary>
    public async Task<Progress?> ProgressAsync(ImageId image, CancellationToken ct)
    {
        try
        {
            return await WithinAsync(options.Value.ProgressTimeout, ct, rpc => Handle(image).QueryAsync(run => run.Progress(), new() { Rpc = rpc }));
        }
        catch (Exception e) when (e is Fault or RpcException or WorkflowQueryFailedException or WorkflowQueryRejectedException)
        {
            Log.NoProgress(logger, image, e.Message);
            return null;
        }
    }

    /// <summary>Asks a run to stop and undo what it has done; false when it is over.</summary>
    public async Task<bool> CancelAsync(ImageId image, CancellationToken ct)
    {
        try
        {
            var cancelled = await WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
            {
                await Handle(image).CancelAsync(new() { Rpc = rpc });
                return Names.CreateImageWorkflow(image);
            });
            return cancelled is not null ? true : throw Fault.Unavailable("Temporal has not answered in time. The run may go on. Try again in a few seconds.");
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return false;
        }
    }

    private static WithStartWorkflowOperation<WorkflowHandle<CreateImageWorkflow, CreateImageResult>> Start(CreateImageInput input, WorkflowIdReusePolicy reuse) =>
        WithStartWorkflowOperation.Create(
            (CreateImageWorkflow run) => run.RunAsync(input),
            new(Names.CreateImageWorkflow(input.Image), Names.ControlQueue)
            {
                IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
                IdReusePolicy = reuse,
                // A worker that dies in the middle of a task must not hold a frozen guest until the default of 10 s has passed.
                TaskTimeout = TimeSpan.FromSeconds(2),
                TypedSearchAttributes = SearchAttributes.ForStart(input.Caller, input.Server, input.Image),
                // The longest that its own time-outs add up to: whatever keeps it from its end, it has one.
                RunTimeout = CreateImageWorkflow.LongestRun,
                StaticSummary = $"image {Shown(input.Name)} of server {input.Server}",
                StaticDetails = $"""
                    project {input.Caller.ProjectId}, user {input.Caller.UserId}, request {input.RequestId}{(input.GlobalRequestId is { } global ? $", for {global}" : "")}

                    freeze: {input.Quiesce.ToText()}{(input.FreezeDeadline is { } deadline ? string.Create(CultureInfo.InvariantCulture, $", for at most {deadline.TotalSeconds:0.###} s") : "")}; after the deadline: {input.OnExpiry.ToText()}
                    """,
            });

    /// <summary>
    /// The beginning of a name: a server refuses summaries of more than 400 bytes, of which a character takes up to six.
    /// Source: Temporal server, limit.userMetadataSummarySize; the SDK's JSON.
    /// </summary>
    private static string Shown(string name) => name.Length <= LongestShown ? name : $"{name[..(char.IsHighSurrogate(name[LongestShown - 1]) ? LongestShown - 1 : LongestShown)]}…";

    private WorkflowHandle<CreateImageWorkflow, CreateImageResult> Handle(ImageId image) =>
        temporal.GetWorkflowHandle<CreateImageWorkflow, CreateImageResult>(Names.CreateImageWorkflow(image));

    /// <summary>What the run had answered when it was asked: it goes to the guest only once it has accepted.</summary>
    private static void RequireAccepted(RunRecord run)
    {
        if (run.Status is not RunStatus.Completed && run.Reason is { } reason && !run.Steps.Any(s => s.Step is > Step.ProbeGuest and not Step.Compensate))
        {
            throw Fault.From(reason);
        }
    }

    /// <summary>Nobody will ever ask for this image again, so nobody must find it either.</summary>
    private async Task<Fault> WithdrawAsync(ImageId image, CancellationToken ct)
    {
        try
        {
            await CancelAsync(image, ct);
        }
        catch (Fault e)
        {
            return Fault.Unavailable($"No worker has accepted the request in time, and it could not be withdrawn: see GET /runs/{image} before you try again.", e);
        }

        Log.Withdrawn(logger, image);
        return Fault.Unavailable($"No worker has accepted the request in time. Image {image} was withdrawn, nothing will be left of it. Try again later.");
    }

    /// <summary>Null when the time is up before the call is.</summary>
    private Task<T?> WithinAsync<T>(TimeSpan time, CancellationToken ct, Func<RpcOptions, Task<T>> call) where T : class => temporal.WithinAsync(time, ct, call);

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Warning, "No worker accepted the run for image {ImageId} in time; it is withdrawn")]
        public static partial void Withdrawn(ILogger logger, ImageId imageId);

        [LoggerMessage(301, LogLevel.Information, "The run for image {ImageId} does not say where it stands, its record answers: {Reason}")]
        public static partial void NoProgress(ILogger logger, ImageId imageId, string reason);
    }
}
