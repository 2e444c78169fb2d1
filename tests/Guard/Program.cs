using SnapshotFlow.Tests.Guard.Processes;
using SnapshotFlow.Tests.Guard;
using Xunit.Runner.InProc.SystemConsole;
using Xunit.Sdk;
using Xunit.v3;

// Every test here is about real processes and their time: one at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]

return args switch
{
    [HolderProgram.Command, .. var rest] => await HolderProgram.RunAsync(rest),
    [Measurement.Command, .. var rest] => await Measurement.RunAsync(rest),
    _ => await ConsoleRunner.Run(args),
};
