using System.Globalization;
using System.Text;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Worker.Interceptors;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Shows every process that does not describe itself in the Temporal UI's "current details": its steps with their times and failures, and how it ended.
/// <see cref="CreateImageWorkflow"/> has more to say, and says it itself. For workers that serve workflows.
/// </summary>
public sealed class StepDetails : IWorkerInterceptor
{
    /// <inheritdoc/>
    public WorkflowInboundInterceptor InterceptWorkflow(WorkflowInboundInterceptor nextInterceptor) =>
        new Process(nextInterceptor);

    private sealed class Process(WorkflowInboundInterceptor next) : WorkflowInboundInterceptor(next)
    {
        private readonly List<Shown> steps = [];
        private string status = RunStatus.Running.ToText();
        private string? reason;

        public override void Init(WorkflowOutboundInterceptor outbound) => Next.Init(new Steps(outbound, this));

        public override async Task<object?> ExecuteWorkflowAsync(ExecuteWorkflowInput input)
        {
            try
            {
                var answer = await Next.ExecuteWorkflowAsync(input);
                var end = answer as RunEnd ?? new(RunStatus.Completed);
                End(end.Status, end.Refusal);
                return answer;
            }
            catch (Exception e)
            {
                var refusal = Failures.Describe(e);
                End(TemporalException.IsCanceledException(e) ? RunStatus.Cancelled : refusal.Kind is ErrorKind.CompensationFailed ? RunStatus.CompensationFailed : RunStatus.Failed, refusal);
                throw;
            }
        }

        public Shown Begin(string step)
        {
            var shown = new Shown(step, Workflow.UtcNow);
            steps.Add(shown);
            Describe();
            return shown;
        }

        public void Describe()
        {
            // Whoever describes itself knows better.
            if (Workflow.Info.WorkflowType == CreateImageWorkflow.Name)
            {
                return;
            }

            var text = new StringBuilder($"**{status}**");
            if (reason is not null)
            {
                text.Append(CultureInfo.InvariantCulture, $"\n\n{reason}");
            }

            text.Append("\n\n| step | ms | |\n|---|---|---|");
            foreach (var step in steps)
            {
                var took = step.EndedAt is { } end ? (end - step.BeganAt).TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture) : "…";
                text.Append(CultureInfo.InvariantCulture, $"\n| {Markdown.Cell(step.What)} | {took} | {Markdown.Cell(step.Failure)} |");
            }

            Workflow.CurrentDetails = text.ToString();
        }

        private void End(RunStatus ended, Refusal? why)
        {
            (status, reason) = (ended.ToText(), why is null ? null : $"{why.Kind}: {why.Message}");
            Describe();
        }
    }

    /// <summary>Looks on without coming between a step and who waits for it: the order of what a workflow does stays its own.</summary>
    private sealed class Steps(WorkflowOutboundInterceptor next, Process process) : WorkflowOutboundInterceptor(next)
    {
        public override Task<TResult> ScheduleActivityAsync<TResult>(ScheduleActivityInput input)
        {
            var shown = process.Begin(input.Options.Summary ?? input.Activity);
            var step = Next.ScheduleActivityAsync<TResult>(input);
            _ = step.ContinueWith(
                ended =>
                {
                    shown.EndedAt = Workflow.UtcNow;
                    shown.Failure = ended.Exception?.InnerException is { } failure ? Failures.Describe(failure).Message : null;
                    process.Describe();
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Current);
            return step;
        }
    }

    private sealed class Shown(string what, DateTimeOffset beganAt)
    {
        public string What { get; } = what;

        public DateTimeOffset BeganAt { get; } = beganAt;

        public DateTimeOffset? EndedAt { get; set; }

        public string? Failure { get; set; }
    }
}
