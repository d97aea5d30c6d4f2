//! The number of instances in a component.
//!
//! A nested component can be instantiated many times, and so can the components within it. A few bytes at each level
//! of nesting thus double the work of the compiler, which expands every instance.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentImport,
    ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Instance, SectionLimited,
};

/// Components that are tracked within one component. The validator has the same limit.
const COMPONENTS_MAX: usize = 1_000;

/// The number of instances, including nested ones.
#[derive(Clone, Copy, Default)]
pub(super) struct InstanceCount {
    pub(super) modules: u64,
    pub(super) components: u64,
}

/// A component that is being parsed.
#[derive(Default)]
struct OpenComponent {
    count: InstanceCount,
    /// The instances in one instance of each nested component. `None` for a component that is known only after
    /// linking.
    components: Vec<Option<InstanceCount>>,
}

/// A counter of instances that follows the parser.
#[derive(Default)]
pub(super) struct InstanceCounter {
    open: Vec<OpenComponent>,
    total: InstanceCount,
    unknown: bool,
}

/// The result of parsing a section.
pub(super) type ReadResult = Result<(), BinaryReaderError>;

impl InstanceCounter {
    /// Notes that a component begins.
    pub(super) fn enter_component(&mut self) {
        self.open.push(OpenComponent::default());
    }

    /// Notes that the innermost component ends.
    pub(super) fn leave_component(&mut self) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        if self.open.is_empty() {
            self.total = closed.count;
        }
        self.define(Some(closed.count));
    }

    /// Returns the instances in the outermost component. `None` if it instantiates an imported component.
    pub(super) fn total(&self) -> Option<InstanceCount> {
        (!self.unknown).then_some(self.total)
    }

    pub(super) fn count_modules(
        &mut self,
        instances: SectionLimited<'_, Instance<'_>>,
    ) -> ReadResult {
        for instance in instances {
            if let (Instance::Instantiate { .. }, Some(open)) = (instance?, self.open.last_mut()) {
                open.count.modules = open.count.modules.saturating_add(1);
            }
        }
        Ok(())
    }

    pub(super) fn count_components(
        &mut self,
        instances: SectionLimited<'_, ComponentInstance<'_>>,
    ) -> ReadResult {
        for instance in instances {
            if let ComponentInstance::Instantiate {
                component_index, ..
            } = instance?
            {
                let nested = self.component(0, component_index);
                self.instantiate(nested);
            }
        }
        Ok(())
    }

    fn instantiate(&mut self, nested: Option<InstanceCount>) {
        self.unknown |= nested.is_none();
        let nested = nested.unwrap_or_default();
        if let Some(OpenComponent { count, .. }) = self.open.last_mut() {
            count.modules = count.modules.saturating_add(nested.modules);
            let more = nested.components.saturating_add(1);
            count.components = count.components.saturating_add(more);
        }
    }

    pub(super) fn add_aliases(
        &mut self,
        aliases: SectionLimited<'_, ComponentAlias<'_>>,
    ) -> ReadResult {
        for alias in aliases {
            match alias? {
                ComponentAlias::InstanceExport {
                    kind: ComponentExternalKind::Component,
                    ..
                } => self.define(None),
                ComponentAlias::Outer {
                    kind: ComponentOuterAliasKind::Component,
                    count,
                    index,
                } => self.define(self.component(count, index)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes an import. Only the type of an imported component is known.
    pub(super) fn add_import(&mut self, import: &ComponentImport<'_>) {
        if matches!(import.ty, ComponentTypeRef::Component(_)) {
            self.define(None);
        }
    }

    /// Notes exports. The component model gives an exported component a second index.
    pub(super) fn add_exports(
        &mut self,
        exports: SectionLimited<'_, ComponentExport<'_>>,
    ) -> ReadResult {
        for export in exports {
            let export = export?;
            if export.kind == ComponentExternalKind::Component {
                self.define(self.component(0, export.index));
            }
        }
        Ok(())
    }

    fn define(&mut self, component: Option<InstanceCount>) {
        if let Some(open) = self.open.last_mut()
            && open.components.len() < COMPONENTS_MAX
        {
            open.components.push(component);
        }
    }

    /// Returns the instances in a component, by its index in the component that is `outwards` levels further out.
    fn component(&self, outwards: u32, index: u32) -> Option<InstanceCount> {
        let open = self
            .open
            .iter()
            .rev()
            .nth(usize::try_from(outwards).ok()?)?;
        *open.components.get(usize::try_from(index).ok()?)?
    }
}
