namespace SnapshotFlow.Stack.Demo;
